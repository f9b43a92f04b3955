"""What supervised fine-tuning, preferences and reinforcement learning are worth on the same runs of the in-box model.

    python benchmarks/trainers.py --out DIR [--n 600] [--only SIDE …] [--write]

One collection (8 samples of 400 questions at temperature 1) gives every side its rows: `solved` replies, `step_dpo`
pairs, `edge_of_ability` prompts. Supervised fine-tuning and DPO have as many rows and train on as many tokens of
replies, each counted as often as it was seen: a pair has two, so that DPO goes through its rows half as often. GRPO
samples its own replies, and is bounded by its steps. Each side is measured on questions of another split and another
seed: at the level that was trained on, and, half as many and half as often, at the next one and at two older ones.
Differences to the model as it ships are paired by question. A second start with the same DIR goes on.
"""

import argparse
import asyncio
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maieutic.collector import collect
from maieutic.evals import evaluate
from maieutic.evals.items import grouped
from maieutic.evals.plan import Contender
from maieutic.gate.rules import Rules
from maieutic.improve.rows import make_rows
from maieutic.improve.trainer import Trainer, Trl, TrlDpo, TrlGrpo, TrlSft
from maieutic.improve.version import InBoxShelf, Version
from maieutic.llm.in_box.model import WEIGHTS
from maieutic.recipes.groups import chance
from maieutic.stats import Interval, paired_bootstrap
from maieutic.types import Sampling

RESULTS = Path(__file__).parent / "results" / "trainers.md"
SEED, FRESH, SAMPLES, QUESTIONS, THREADS = 21, 2001, 8, 400, 1
LEVEL = "env:rg/chain_sum?min_terms={0}&max_terms={0}&min_digits=2&max_digits=2"
TRAINED = "trained: 5 terms"
SETS = {
    TRAINED: LEVEL.format(5),
    "next: 6 terms": LEVEL.format(6),
    "older: 3 terms": LEVEL.format(3),
    "older: 3 animals": "env:rg/leg_counting?min_animals=3&max_animals=3&max_instances=9",
}
WAYS = {"greedy": (Sampling(temperature=0.0), 1), "sampled": (Sampling(temperature=1.0), 4)}
SHELF = InBoxShelf(WEIGHTS)
SFT_RATE, DPO_RATE, GRPO_RATE = 3e-4, 1e-4, 1e-4


@dataclass(frozen=True, slots=True)
class Side:
    """Trainings, one after the other, each with the file of its rows."""

    about: str
    stages: tuple[tuple[Trl, str], ...] = ()


def sft(epochs: float) -> tuple[Trl, str]:
    return TrlSft(epochs=epochs, rate=SFT_RATE, threads=THREADS), "sft"


def dpo(epochs: float, **settings: Any) -> tuple[Trl, str]:
    return TrlDpo(epochs=epochs, rate=DPO_RATE, threads=THREADS, **settings), "dpo"


GRPO = (TrlGrpo(steps=45, rate=GRPO_RATE, reply=160, threads=THREADS), "grpo")
SIDES = {
    "as it ships": Side("nothing"),
    "sft": Side("right replies, as many as there are pairs, four times", (sft(4),)),
    "dpo": Side("pairs, twice", (dpo(2),)),
    "dpo + sft term": Side("pairs, twice, the chosen side's own loss at 0.2", (dpo(2, sft_weight=0.2),)),
    "sft, then dpo": Side("right replies twice, then pairs once", (sft(2), dpo(1))),
    "grpo": Side("its own replies to the prompts, 8 each", (GRPO,)),
}


@dataclass(slots=True)
class Measured:
    """One side on one set, of `n` questions with `k` samples each at temperature 1. `shares` are the shares of right
    replies by question, greedily and sampled."""

    n: int
    k: int
    greedy: Interval
    once: Interval
    any_of: Interval
    shares: dict[str, dict[str, float]]


def main() -> None:
    """Run what is asked for, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="keep everything here")
    parser.add_argument(
        "--n", type=int, default=600, help="questions of the level that was trained on, half as many of others"
    )
    parser.add_argument("--only", action="append", choices=list(SIDES), help="these sides alone")
    parser.add_argument("--write", action="store_true", help="write results/trainers.md and its JSON")
    asked = parser.parse_args()
    out = asked.out.resolve()
    names = [name for name in SIDES if name in (asked.only or SIDES) or not SIDES[name].stages]
    rows = asyncio.run(made(out))
    trained = {name: asyncio.run(train(name, out, rows)) for name in names}
    found = {name: asyncio.run(measure(name, version, out, asked.n)) for name, (version, _) in trained.items()}
    facts = {name: facts for name, (_, facts) in trained.items()}
    only = "".join(f" --only {name!r}" for name in asked.only or ())
    text = markdown(found, facts, rows, f"python benchmarks/trainers.py --out DIR --n {asked.n}{only}")
    print(text)
    if asked.write:
        RESULTS.write_text(text)
        RESULTS.with_suffix(".json").write_text(json.dumps({"rows": rows, "trained": facts}, indent=1) + "\n")


async def made(out: Path) -> dict[str, Any]:
    """The rows of one collection, by trainer, and how many there are."""
    mark = out / "rows.json"
    if mark.exists():
        return dict(json.loads(mark.read_text()))
    source = f"{SETS[TRAINED]}&n={QUESTIONS}&seed={SEED}&split=train"
    report = await collect(
        source,
        out=out / "runs",
        model=SHELF.first().model,
        sampling=Sampling(temperature=1.0),
        samples=SAMPLES,
        seed=SEED,
        concurrency=64,
    )
    if report.stopped:
        raise SystemExit(report.stopped)
    facts: dict[str, Any] = {"runs": report.done, "outcomes": report.summary.outcomes}
    rules = Rules(tokenizer=str(WEIGHTS))
    for trainer in (TrlSft(), TrlDpo(), TrlGrpo()):
        name = trainer.NAME
        (out / f"{name}.jsonl").unlink(missing_ok=True)
        facts[name] = make_rows(out / "runs", trainer.recipe, trainer.format, out / f"{name}.jsonl", rules, source)
    facts["all_solved"] = facts["sft"]["rows"]
    facts["rows"] = min(facts["sft"]["rows"], facts["dpo"]["rows"])
    for name in ("sft", "dpo"):
        _draw(out / f"{name}.jsonl", facts["rows"])
    mark.write_text(json.dumps(facts, indent=1))
    return facts


def _draw(file: Path, n: int) -> None:
    """Leave `n` of the rows, drawn by chance."""
    lines = file.read_bytes().splitlines(keepends=True)
    drawn = sorted(chance("trainers", SEED, n).sample(range(len(lines)), n))
    file.write_bytes(b"".join(lines[i] for i in drawn))


async def train(name: str, out: Path, rows: dict[str, Any]) -> tuple[Version, list[dict[str, Any]]]:
    """The version that a side has made, and what is known of each of its trainings."""
    version, told = SHELF.first(), []
    for number, (trainer, file) in enumerate(SIDES[name].stages, 1):
        folder = out / name.replace(" ", "-").replace(",", "") / f"{number}"
        if not folder.exists():
            await _trained(trainer, version, out / f"{file}.jsonl", folder)
        version = SHELF.version(number, folder)
        SHELF.publish(version)
        told.append({"trainer": file, **json.loads((folder / "training.json").read_text())})
    return version, told


async def _trained(trainer: Trainer, version: Version, rows: Path, folder: Path) -> None:
    work = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(work, ignore_errors=True)
    await trainer.train(version, rows, work, SEED)
    os.replace(work, folder)


async def measure(name: str, version: Version, out: Path, n: int) -> dict[str, Measured]:
    """A side's figures on each set."""
    found: dict[str, Measured] = {}
    for set_, source in SETS.items():
        half = 1 if set_ == TRAINED else 2
        rows = [await _evaluated(version, f"{source}&n={n // half}", way, half, out) for way in WAYS]
        found[set_] = _figures(*rows)
    return found


async def _evaluated(version: Version, source: str, way: str, half: int, out: Path) -> Any:
    sampling, samples = WAYS[way]
    found = await evaluate(
        [f"{source}&seed={FRESH}&split=test"],
        [Contender(way, "direct", sampling=sampling)],
        [version.model],
        out=out / "measured" / f"{way}-{half}",
        samples=max(1, samples // half),
        seed=FRESH,
        concurrency=64,
    )
    if found.stopped:
        raise SystemExit(found.stopped)
    return found.rows[0]


def _figures(greedy: Any, sampled: Any) -> Measured:
    shares = {way: _shares(row) for way, row in (("greedy", greedy), ("sampled", sampled))}
    figures = (greedy.figures.accuracy, sampled.figures.accuracy, sampled.figures.pass_at)
    return Measured(sampled.figures.n, sampled.figures.k, *figures, shares)


def _shares(row: Any) -> dict[str, float]:
    """The share of right attempts at each question; one without a readable answer is not right."""
    return {task: sum(one.right for one in group) / len(group) for task, group in grouped(row.attempts).items()}


def markdown(
    found: dict[str, dict[str, Measured]], facts: dict[str, list[dict[str, Any]]], rows: dict[str, Any], command: str
) -> str:
    """Two tables: what was trained on what, and what it came to."""
    lines = [f"`{command}`, {time.strftime('%Y-%m-%d')}", ""]
    outcomes = ", ".join(f"{number} {what}" for what, number in rows["outcomes"].items())
    lines += [f"{rows['runs']} runs ({outcomes}) gave {rows['all_solved']} right replies that the gate let pass.", ""]
    lines += ["| side | trained on | rows | tokens in the loss | steps |", "|---|---|---|---|---|"]
    for name, stages in facts.items():
        tokens = sum(one["trained_tokens"] * (1 if one["trainer"] == "grpo" else one["epochs"]) for one in stages)
        steps = ", ".join(str(one["steps"]) for one in stages)
        of = ", ".join(str(one["rows"]) for one in stages)
        lines.append(f"| {name} | {SIDES[name].about} | {of} | {tokens:,.0f} | {steps} |")
    lines += [
        "",
        "| set | side | n | greedy | points | pass@1 | points | pass@k |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for set_ in SETS:
        for name, measured in found.items():
            one, base = measured[set_], found["as it ships"][set_]
            cells = [one.greedy.percent(), _against(one, base, "greedy"), one.once.percent()]
            cells += [_against(one, base, "sampled"), one.any_of.percent()]
            lines.append(f"| {set_} | {name} | {one.n} × {one.k} | {' | '.join(cells)} |")
    lines += ["", "Points are differences to the model as it ships, with 95 % bootstrap intervals over questions.", ""]
    return "\n".join(lines)


def _against(one: Measured, base: Measured, way: str) -> str:
    if one is base:
        return ""
    both = sorted(base.shares[way])
    change = paired_bootstrap([base.shares[way][t] for t in both], [one.shares[way][t] for t in both])
    low, high = 100 * change.low, 100 * change.high
    return f"{100 * change.estimate:+.1f} [{low:+.1f}, {high:+.1f}]"


if __name__ == "__main__":
    main()
