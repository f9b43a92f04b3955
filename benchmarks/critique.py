"""What a critic's verdicts are worth: how it takes right and wrong drafts, and what the repairs make of them.

    python benchmarks/critique.py [--n 400] [--seed 7] [--model in-box]

The graph `critique` at temperature 1, on the demo's families and the test split. A draft is judged by the task's own
verifier, after the run and from the trace: nothing of that is seen by the graph.
"""

import argparse
import asyncio
import json
import tempfile
from collections import Counter
from pathlib import Path

from maieutic.collector import collect
from maieutic.demo import FAMILIES
from maieutic.stats import wilson
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.trace.reader import TraceReader
from maieutic.types import Outcome, Sampling

RESULTS = Path(__file__).parent / "results" / "critique.md"
VERDICTS = {True: "accepted", False: "rejected", None: "no readable verdict"}


def main() -> None:
    """Collect, count, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=400, help="questions of each family")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--model", default="in-box")
    asked = parser.parse_args()
    tasks = draw(asked.n, asked.seed)
    with tempfile.TemporaryDirectory() as directory:
        sampling = Sampling(temperature=1.0)
        out, graph = Path(directory) / "runs", "critique"
        report = asyncio.run(
            collect(tasks, out=out, graph=graph, model=asked.model, sampling=sampling, concurrency=64, seed=asked.seed)
        )
        verdicts, moves = count(out, {task.id: task for task in tasks})
    share = report.summary.accuracy.percent() if report.summary.accuracy else "none"
    command = f"python benchmarks/critique.py --n {asked.n} --seed {asked.seed} --model {asked.model}"
    text = f"`{command}`; {report.summary.n} runs, {share} right at last\n\n" + table(verdicts, moves)
    print(text)
    RESULTS.write_text(text + "\n")
    RESULTS.with_suffix(".json").write_text(
        json.dumps({"command": command, **as_json(verdicts, moves)}, indent=2) + "\n"
    )


def draw(n: int, seed: int) -> list[Task]:
    sources = (f"env:rg/{name}?n={n}&seed={seed}&split=test&{level}" for name, level in FAMILIES.items())
    return [task for source in sources for task in load_tasks(source).tasks]


def count(out: Path, tasks: dict[str, Task]) -> tuple[Counter[tuple[bool, bool | None]], Counter[tuple[bool, bool]]]:
    """First verdicts by (draft right, accepted), and runs by (draft right, right at last)."""
    verdicts: Counter[tuple[bool, bool | None]] = Counter()
    moves: Counter[tuple[bool, bool]] = Counter()
    with TraceReader(out) as reader:
        for summary in reader.runs():
            run = reader.run(summary.run_id)
            draft = run.calls[0].completion
            right = draft is not None and verify(tasks[summary.task_key], draft.text).outcome is Outcome.CORRECT
            first = next(iter(run.events_of("verdict")), None)
            if first is not None:
                verdicts[right, first.fields["accepts"]] += 1
            moves[right, summary.outcome is Outcome.CORRECT] += 1
    return verdicts, moves


def table(verdicts: Counter[tuple[bool, bool | None]], moves: Counter[tuple[bool, bool]]) -> str:
    lines = ["| draft | first verdict | n | share (95 % interval) |", "|---|---|---|---|"]
    for right in (True, False):
        total = sum(n for (draft, _), n in verdicts.items() if draft is right)
        for verdict, word in VERDICTS.items():
            n = verdicts[right, verdict]
            share = wilson(n, total).percent() if total else "-"
            lines.append(f"| {'right' if right else 'wrong'} | {word} | {n} of {total} | {share} |")
    lines += ["", f"Right drafts made wrong: {moves[True, False]}; wrong drafts made right: {moves[False, True]}."]
    return "\n".join(lines)


def as_json(verdicts: Counter[tuple[bool, bool | None]], moves: Counter[tuple[bool, bool]]) -> dict[str, object]:
    return {
        "verdicts": [{"right": r, "accepts": a, "n": n} for (r, a), n in sorted(verdicts.items(), key=str)],
        "moves": [{"right_at_first": r, "right_at_last": e, "n": n} for (r, e), n in sorted(moves.items())],
    }


if __name__ == "__main__":
    main()
