"""Voting over samples against one sample, on questions that the in-box model has never seen.

    python benchmarks/self_consistency.py [--n 400] [--dev 150] [--samples 8] [--seed N] [--levels-only]

The difficulty is chosen on the dev split (where one sample at temperature 1 is right nearest to 60 % of the time); all
figures are of the test split. All methods answer the same questions, so that they are compared question by question.
The same seed gives both votes the same samples: what early stopping changes is only how many are drawn.
"""

import argparse
import asyncio
import json
import os
import platform
import secrets
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from maieutic.collector import ResultRow, Summary, collect, read_results
from maieutic.errors import UserError
from maieutic.stats import Interval, PairedComparison, compare_paired, paired_bootstrap
from maieutic.tasks.source import load_tasks
from maieutic.trace.reader import TraceReader
from maieutic.types import Outcome, Sampling

WANTED = 0.6  # accuracy of one sample; the middle of 40-80 %
SAMPLED, GREEDY = Sampling(temperature=1.0), Sampling(temperature=0.0)
CHAINS = (
    (3, "1"),
    (4, "1"),
    (5, "1"),
    (6, "1"),
    (2, "2"),
    (3, "1-2"),
    (3, "2"),
    (4, "1-2"),
    (4, "2"),
    (5, "2"),
    (6, "2"),
)


def _arithmetic(name: str, terms: int, digits: str) -> str:
    return f"{name}?min_terms={terms}&max_terms={terms}&min_digits={digits[0]}&max_digits={digits[-1]}"


LEVELS = {
    **{
        f"chain_sum, {terms} terms, {digits} digits": _arithmetic("chain_sum", terms, digits)
        for terms, digits in CHAINS
    },
    **{f"products, {digits} digits": _arithmetic("products", 2, digits) for digits in ("1-2", "2")},
    **{
        f"leg_counting, {animals} animals": f"leg_counting?min_animals={animals}&max_animals={animals}&max_instances=9"
        for animals in (2, 3, 4)
    },
}


@dataclass(frozen=True, slots=True)
class Method:
    name: str
    graph: str = "direct"
    sampling: Sampling = SAMPLED
    tools: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measured:
    """A method's results, by task id, and its row of the table."""

    rows: dict[str, ResultRow]
    summary: Summary
    seconds: float


def methods(samples: int) -> list[Method]:
    everything = {"samples": samples, "early_stop": False}
    return [
        Method("one sample"),
        Method("greedy", sampling=GREEDY),
        Method("tool_loop with python", "tool_loop", tools=("python",)),
        Method(f"self_consistency@{samples}, all samples", "self_consistency", settings=everything),
        Method(f"self_consistency@{samples}, early stop", "self_consistency", settings={"samples": samples}),
    ]


def source(level: str, split: str, n: int, seed: int) -> str:
    return f"env:rg/{LEVELS[level]}&n={n}&seed={seed}&split={split}"


async def run(method: Method, tasks: str, model: str, out: Path, seed: int) -> Measured:
    report = await collect(
        tasks,
        out=out,
        graph=method.graph,
        model=model,
        tools=method.tools,
        sampling=method.sampling,
        graph_settings=method.settings,
        concurrency=16 if method.tools else 64 // (8 if method.graph == "self_consistency" else 1),
        seed=seed,
    )
    if report.stopped or report.failed:
        raise SystemExit(f"{method.name}: {report.stopped or report.failures}")
    return Measured({row.task: row for row in read_results(out)}, report.summary, report.seconds)


async def choose_level(model: str, n: int, seed: int, folder: Path, n_test: int) -> tuple[str, dict[str, Interval]]:
    """The level where one sample's accuracy on the dev split is nearest to `WANTED`, and every level's accuracy.

    Levels without `n_test` different questions in the test split are left out.
    """
    seen: dict[str, Interval] = {}
    for i, level in enumerate(LEVELS):
        try:
            load_tasks(source(level, "test", n_test, seed))
            tasks = source(level, "dev", n, seed)
            measured = await run(Method("one sample"), tasks, model, folder / f"dev-{i}", seed)
        except UserError as error:
            print(f"{level}: left out. {error}", flush=True)
            continue
        assert measured.summary.accuracy is not None
        seen[level] = measured.summary.accuracy
        print(f"dev, {level}: {seen[level].percent()}", flush=True)
    return min(seen, key=lambda level: abs(seen[level].estimate - WANTED)), seen


async def measure_all(
    wanted: Iterable[Method], level: str, model: str, n: int, seed: int, folder: Path
) -> dict[str, Measured]:
    found: dict[str, Measured] = {}
    for i, method in enumerate(wanted):
        try:
            found[method.name] = await run(method, source(level, "test", n, seed), model, folder / f"test-{i}", seed)
        except UserError as error:
            print(f"{method.name}: left out. {error}", flush=True)
            continue
        print(f"{method.name}: {_share(found[method.name])}", flush=True)
    return found


def compare(found: dict[str, Measured], first: str, second: str) -> PairedComparison:
    tasks = sorted(found[first].rows)
    right = [[found[name].rows[t].outcome is Outcome.CORRECT for t in tasks] for name in (first, second)]
    return compare_paired(*right)


def saved(measured: Measured, samples: int) -> Interval:
    """The share of samples that were not drawn, with a bootstrap interval over questions."""
    shares = [1 - row.usage.calls / samples for row in measured.rows.values()]
    return paired_bootstrap([0.0] * len(shares), shares)


def _share(measured: Measured) -> str:
    return measured.summary.accuracy.percent() if measured.summary.accuracy else "-"


def main_table(found: dict[str, Measured]) -> list[str]:
    lines = ["| method | n | correct (95 % interval) | calls | tokens | seconds |", "|---|---|---|---|---|---|"]
    for name, measured in found.items():
        usage = measured.summary.usage
        counts = f"{usage.calls:,} | {usage.tokens:,} | {measured.seconds:.0f}"
        lines.append(f"| {name} | {measured.summary.n} | {_share(measured)} | {counts} |")
    return lines


def paired_table(compared: dict[tuple[str, str], PairedComparison]) -> list[str]:
    lines = ["| second less first | points (95 % interval) | only first right | only second right | p |"]
    lines.append("|---|---|---|---|---|")
    for (first, second), c in compared.items():
        d = c.difference
        points = f"{100 * d.estimate:+.1f} [{100 * d.low:+.1f}, {100 * d.high:+.1f}]"
        lines.append(f"| {second} less {first} | {points} | {c.only_first} | {c.only_second} | {c.p_value:.2g} |")
    return lines


def pairs(found: dict[str, Measured]) -> list[tuple[str, str]]:
    names = list(found)
    every, early = names[-2:]
    others = [name for name in names[1:-2]]
    return [("one sample", early), ("one sample", every), (every, early), *((other, early) for other in others)]


def weights(folder: Path) -> str | None:
    """The weights that answered, as the trace says."""
    with TraceReader(folder / "test-0" / "traces") as reader:
        completion = reader.run(next(iter(reader.runs())).run_id).calls[0].completion
    return completion.weights if completion else None


async def benchmark(options: argparse.Namespace, folder: Path) -> tuple[str, dict[str, Any]]:
    level, dev = await choose_level(options.model, options.dev, options.seed, folder, options.n)
    if options.levels_only:
        raise SystemExit
    wanted = methods(options.samples)
    found = await measure_all(wanted, level, options.model, options.n, options.seed, folder)
    compared = {pair: compare(found, *pair) for pair in pairs(found)}
    spared = saved(found[wanted[-1].name], options.samples)
    command = f"python benchmarks/self_consistency.py --n {options.n} --dev {options.dev} --samples {options.samples}"
    command += f" --seed {options.seed}" + (f" --model {options.model}" if options.model != "in-box" else "")
    made = weights(folder)
    in_band = "" if 0.4 <= dev[level].estimate <= 0.8 else " None of the levels is between 40 and 80 %."
    lines = [
        "# Self-consistency on the in-box model",
        "",
        f"`{command}`, weights `{made}`, {os.cpu_count()} CPUs.",
        "",
        f"Level: **{level}**, where one sample was right {dev[level].percent()} of the time on the dev split "
        f"(n = {dev[level].n}).{in_band} The figures below are of the test split, temperature 1 but for greedy.",
        "",
        *main_table(found),
        "",
        "Question by question (McNemar's exact test, two-sided, not corrected for the number of comparisons; the first "
        "line is the one that was planned; intervals by bootstrap over questions):",
        "",
        *paired_table(compared),
        "",
        f"Early stopping saved {spared.percent()} of the samples.",
        "",
        "One sample on the dev split, by level:",
        "",
        "| level | n | correct (95 % interval) |",
        "|---|---|---|",
        *(f"| {name} | {interval.n} | {interval.percent()} |" for name, interval in dev.items()),
    ]
    record = {
        "command": command,
        "weights": made,
        "versions": {name: version(name) for name in ("maieutic", "reasoning-gym", "onnxruntime", "numpy")},
        "python": platform.python_version(),
        "level": level,
        "dev": {name: asdict(interval) for name, interval in dev.items()},
        "methods": {n: {**asdict(m.summary), "wall_seconds": m.seconds} for n, m in found.items()},
        "paired": [{"first": a, "second": b, **asdict(c)} for (a, b), c in compared.items()],
        "samples_saved": asdict(spared),
    }
    return "\n".join(lines) + "\n", record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=400, help="questions of the test split")
    parser.add_argument("--dev", type=int, default=150, help="questions of the dev split, for each level")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--model", default="in-box")
    parser.add_argument("--seed", type=int, help="default: a new one, and with it new questions")
    parser.add_argument("--levels-only", action="store_true", help="end after the dev split's figures")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = secrets.randbelow(1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        text, record = asyncio.run(benchmark(options, Path(folder)))
    print("\n" + text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "self_consistency.md").write_text(text)
    (options.out / "self_consistency.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
