"""Whether the loop makes the in-box model better: three rounds, what its parts are worth, and the same compute spent on
the data that the model was made of.

    python benchmarks/improve.py --out DIR [--n 600] [--only NAME …] [--write]

Every loop trains on sums of four numbers of two digits and rehearses two older kinds. All loops see the same questions
with the same seeds; those that leave a part out or add one take the first round's runs from the plain one, and go round
twice. What was kept is then measured on questions that no loop has seen: of the level it was trained on, of the next
one, of an older kind, and of one that no loop trains on or rehearses. Two sides make no runs of their own and train
on as many worked solutions as the plain loop's compute buys: 6 operations a parameter for a token that is trained on, 2
for one that is sampled; what measuring costs is counted for no side. A second start with the same DIR goes on.
"""

import argparse
import asyncio
import json
import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from improve_data import MIXTURES, write_rows
from improve_report import ALONE, CHAIN, FRESH, IN_GRAPHS, KINDS, LEGS, WAYS, Side, markdown

from maieutic.evals import evaluate
from maieutic.evals.plan import Contender, parse_contender
from maieutic.improve.core import Improvement, improve
from maieutic.improve.plan import Plan, settle
from maieutic.improve.trainer import TrlSft
from maieutic.improve.version import InBoxShelf
from maieutic.llm.in_box.model import WEIGHTS

RESULTS = Path(__file__).parent / "results" / "improve.md"
SEED, FRESH_SEED, SAMPLES = 11, 1001, 4
TRAINER = TrlSft(epochs=3.0, rate=3e-4, threads=1)
SHELF = InBoxShelf(WEIGHTS)
MOST = {"products": 500}  # there are 508 in the test split
OLDER = (
    CHAIN.format(3),
    LEGS,
)
SUMS_TO_5 = "env:rg/chain_sum?min_terms=3&max_terms=5&min_digits=2&max_digits=2"
SEARCH = (
    "tree?stepper=line-stepper&valuer=improve_valuer:Marker&debate=false&judges=1&reflect=false"
    "&steps=16&depth=1&evaluations=3&samples=4&branching=3&exploration=4&top_p=1"
)
TWO = "env:rg/leg_counting?min_animals=2&max_animals=2&max_instances=9"


def _seeded(source: str, seed: int, split: str, n: int) -> str:
    return f"{source}&seed={seed}&split={split}&n={n}"


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop: what it is, what is other in its plan than in the plain loop's, and after which rounds it is measured."""

    about: str
    other: dict[str, Any] = field(default_factory=dict)
    rounds: tuple[int, ...] = (2,)
    kinds: tuple[str, ...] = KINDS
    like: str | None = "loop"  # the loop whose first measuring and first runs it takes, since it would make the same


SPLICES = "agent_r?rows=splices&shape=text&prompt=own&abandoned=true"
LOOPS = {
    "loop": Loop("own right solutions, gated, a quarter of the rows older", {}, (2, 3), like=None),
    "wider loop": Loop(
        "the same on sums of three to five numbers, so that no length is unlearnt",
        {"sources": (_seeded(SUMS_TO_5, SEED, "train", 600),), "older": (_seeded(LEGS, SEED + 1, "dev", 100),)},
        (3,),
        (*KINDS, "6 terms"),
        None,
    ),
    "legs loop": Loop(
        "the same on legs of three animals, up to 9 of each",
        {
            "sources": (_seeded(LEGS, SEED, "train", 600),),
            "older": (_seeded(CHAIN.format(4), SEED + 1, "dev", 100), _seeded(TWO, SEED + 1, "dev", 100)),
        },
        (3,),
        (*KINDS, "legs, up to 15 of each"),
        None,
    ),
    "legs loop, all rehearsed": Loop(
        "the same, with sums of three to five numbers and products among the older ones",
        {
            "sources": (_seeded(LEGS, SEED, "train", 600),),
            "older": tuple(_seeded(one, SEED + 1, "dev", 100) for one in (SUMS_TO_5, FRESH["products"], TWO)),
        },
        (3,),
        (*KINDS, "legs, up to 15 of each"),
        None,
    ),
    "no verifier": Loop("rows of all runs, right or wrong", {"recipes": ("runs",), "difficulty": False}),
    "no gate": Loop("the same without the gate", {"gate": False}),
    "no replay": Loop("the same without older rows", {"replay": 0.0}),
    "critique data": Loop(
        "a teacher's critiques and the repairs they lead to besides",
        {"recipes": ("solved", "critique_data?prompt=own&critics=false"), "teacher": "tutor"},
    ),
    "lemma": Loop(
        "errors that a teacher marks, puts in and repairs besides",
        {"recipes": ("solved", "lemma?prompt=own"), "teacher": "tutor"},
    ),
    "lemma, errors shown": Loop(
        "the same with what stands before a repair shown and not learnt",
        {"recipes": ("solved", "lemma?prompt=own&learn_error=false"), "teacher": "tutor"},
        (1,),
    ),
    "agent-r": Loop(
        "ways of a search over lines, wrong ones up to their first wrong line spliced with right ones, besides",
        {"graphs": ("direct", SEARCH), "recipes": ("solved", SPLICES)},
        (1,),
        like=None,
    ),
    "agent-r, one word": Loop(
        "the same with one word for the change of mind",
        {"graphs": ("direct", SEARCH), "recipes": ("solved", f"{SPLICES}&change=wrong")},
        (1,),
        like="agent-r",
    ),
}
GRAPHS = {
    "version 0, vote of 5": "self_consistency?samples=5",
    "version 0, checked sums": "critique?critic=calculator-critic&rounds=3&temperature=1",
}
DATA = {"worked": "worked solutions of the same levels", "original": "more of the mixture that version 0 was made of"}


def main() -> None:
    """Run what is asked for, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="keep everything here")
    parser.add_argument("--n", type=int, default=600, help="questions of each kind that is measured")
    parser.add_argument("--only", action="append", choices=[*LOOPS, *DATA], help="these sides alone, and version 0")
    parser.add_argument("--write", action="store_true", help="write results/improve.md and its JSON")
    asked = parser.parse_args()
    out = asked.out.resolve()
    first = str(_kept(out))
    sides = [Side("version 0", "the model as it ships", first, {}, kinds=tuple(FRESH))]
    sides += [Side(label, f"`{graph}`", first, {}, graph, kinds=IN_GRAPHS) for label, graph in GRAPHS.items()]
    for name in asked.only or [*LOOPS, *DATA]:
        sides += loop(name, out) if name in LOOPS else [trained_on(name, out)]
    for side in sides:
        asyncio.run(measured(side, out, asked.n))
    only = " ".join(f"--only {shlex.quote(name)}" for name in asked.only or [])
    command = f"python benchmarks/improve.py --out DIR --n {asked.n} {only}".rstrip()
    text = markdown(sides, command)
    print(text)
    if asked.write:
        RESULTS.write_text(text)
        RESULTS.with_suffix(".json").write_text(json.dumps([side.as_json() for side in sides], indent=1) + "\n")


def _kept(out: Path) -> Path:
    """The model as it ships, beside what becomes of it: results hold for a folder, not for a checkout of this
    repository."""
    folder = out / "version-0"
    if not folder.exists():
        work = out / "version-0.part"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(WEIGHTS, work)
        os.replace(work, folder)
    return folder


def plan(name: str) -> Plan:
    asked: dict[str, Any] = {
        "model": "in-box",
        "sources": (_seeded(FRESH["4 terms"], SEED, "train", 600),),
        "older": tuple(_seeded(source, SEED + 1, "dev", 100) for source in OLDER),
        "rounds": max(LOOPS[name].rounds),
        "samples": 4,
        "questions": 100,
        "k": 2,
        "threshold": 1.0,
        "margin": 0.01,
        "seed": SEED,
    }
    return Plan(**{**asked, **LOOPS[name].other})


def loop(name: str, out: Path) -> Iterator[Side]:
    """Go round, and give what was in force after each of the rounds that are to be measured."""
    folder = out / name.replace(" ", "-")
    if LOOPS[name].like is not None and not folder.exists():
        begin(name, out / str(LOOPS[name].like), folder)
    done = asyncio.run(improve(plan(name), folder, TRAINER, SHELF, concurrency=64))
    if done.stopped:
        raise SystemExit(f"{name} was stopped: {done.stopped}")
    kept = SHELF.first()
    for one in done.rounds:
        if one.decision.promoted:
            kept = SHELF.version(one.number, done.out / "rounds" / f"{one.number:02}" / "model")
        if one.number in LOOPS[name].rounds:
            spent = _spent(done, one.number)
            label, main = f"{name}, {one.number} round{'s' * (one.number > 1)}", one.number == 3
            yield Side(label, LOOPS[name].about, kept.checkpoint, spent, main=main, kinds=LOOPS[name].kinds)


def begin(name: str, plain: Path, folder: Path) -> None:
    """A loop with another one's first measuring and first runs."""
    work = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    settle(work, plan(name), repr(TRAINER), SHELF.first().weights)
    shutil.copytree(plain / "versions" / "00", work / "versions" / "00")
    if plan(name).replay:
        shutil.copytree(plain / "rehearsal", work / "rehearsal")
    shutil.copytree(plain / "rounds" / "01" / "collect", work / "rounds" / "01" / "collect")
    shutil.copy(plain / "rounds" / "01" / "collected.json", work / "rounds" / "01")
    os.replace(work, folder)


def trained_on(name: str, out: Path) -> Side:
    """Version 0 trained on new worked solutions, for the compute of the plain loop, which has to have run."""
    spent = json.loads((out / "loop" / "spent.json").read_text())
    folder = out / name
    tokens = round(spent["operations"] / 6)
    if not folder.exists():
        rows, work = out / f"{name}.jsonl", out / f"{name}.part"
        written = write_rows(MIXTURES[name], tokens, rows, SEED)
        shutil.rmtree(work, ignore_errors=True)
        trainer = TrlSft(epochs=1.0, rate=TRAINER.rate, threads=TRAINER.threads)
        facts = asyncio.run(trainer.train(SHELF.first(), rows, work, SEED))
        (work / "facts.json").write_text(json.dumps({**facts, "written": written}))
        os.replace(work, folder)
    SHELF.publish(SHELF.version(1, folder))
    facts = json.loads((folder / "facts.json").read_text())
    return Side(name, DATA[name], str(folder), {"rows": facts["rows"], "trained": facts["tokens"], "sampled": 0})


async def measured(side: Side, out: Path, n: int) -> None:
    """Fill in how the side fares on each kind of fresh questions, by itself greedily and at temperature 1; what isn't a
    main side is asked half of the questions, half as often."""
    for way, sampling in WAYS.items():
        alone = side.graph == ALONE
        if not alone and way == "greedy":
            continue
        kinds = {label: FRESH[label] for label in side.kinds}
        contender = Contender(way, side.graph, sampling=sampling) if alone else parse_contender(side.graph)
        found = await evaluate(
            [_seeded(source, FRESH_SEED, "test", min(n, MOST.get(label, n))) for label, source in kinds.items()],
            [contender],
            [f"in-box@{side.checkpoint}"],
            out=out / "fresh" / way.replace(" ", "-") / ("main" if side.main else "other"),
            samples=1 if way == "greedy" or not alone else SAMPLES if side.main else SAMPLES // 2,
            limit=None if side.main else n // 2,
            seed=FRESH_SEED,
            concurrency=64,
        )
        for label, row in zip(kinds, found.rows, strict=True):
            side.attempts[label, way] = row.attempts


def _spent(done: Improvement, rounds: int) -> dict[str, Any]:
    """What so many rounds have spent: rows and tokens trained on (each as often as it was seen), tokens sampled."""
    trained = [one.trained for one in done.rounds[:rounds] if one.trained]
    tokens = sum(facts["tokens"] * facts["epochs"] for facts in trained)
    sampled = sum(graph["tokens"] for one in done.rounds[:rounds] for graph in one.collected["graphs"])
    rehearsed = json.loads((done.out / "rehearsal" / "rehearsed.json").read_text()) if done.plan.replay else {}
    sampled += rehearsed.get("tokens", 0)
    spent = {
        "rows": sum(facts["rows"] for facts in trained),
        "trained": round(tokens),
        "sampled": sampled,
        "operations": 6 * tokens + 2 * sampled,
        "promoted": [one.decision.promoted for one in done.rounds[:rounds]],
    }
    (done.out / "spent.json").write_text(json.dumps(spent))  # the last of its rounds stays
    return spent


if __name__ == "__main__":
    main()
