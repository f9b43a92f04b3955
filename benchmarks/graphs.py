"""What graphs are worth on the in-box model: accuracy, tokens and seconds, beside self-consistency at equal tokens.

    python benchmarks/graphs.py [--n 300] [--seed 7] [--bank 16] [--out DIR] [--model NAME --results FILE]

Four kinds of questions of the test split, every contender on each of them; then all four together. A second start with
the same `--out` goes on where the first was stopped.
"""

import argparse
import asyncio
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from levels import sources

from maieutic.evals.core import BANK, Evaluation, evaluate
from maieutic.evals.equal import Beside, beside
from maieutic.evals.items import Attempt, attempts_in, figures
from maieutic.evals.plan import cross, parse_contender
from maieutic.evals.report import markdown
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import AnswerType

RESULTS = Path(__file__).parent / "results"
CONTENDERS = (
    "direct, greedy=direct?temperature=0",
    "direct, T 1=direct?temperature=1",
    "tool=tool_loop?tools=python&temperature=0",
    "vote of 5=self_consistency?samples=5",
    "vote of 5 by P(True)=self_consistency?samples=5&weights=confidence&rater=truth-rater",
    "vote of 5, verified=self_consistency?samples=5&weights=confidence&rater=verifier",
    "critique=critique?temperature=1",
    "critique, 3 chains=critique?chains=3&temperature=1",
    "critique by calculator=critique?temperature=1&critic=calculator-critic&rounds=3",
    "critique by calculator, 3 chains=critique?chains=3&temperature=1&critic=calculator-critic&rounds=3",
    "debate=debate?debaters=3&rounds=1",
    "debate, 2 rounds=debate?debaters=3&rounds=2",
    "rethink=rethink?temperature=1",
    "deepening=deepening?first=64&limit=512&samples=3&temperature=1",
    "peers=peers?paths=4&turns=3&tokens=48&summary_tokens=32&answer_tokens=64&temperature=1",
)


def main() -> None:
    """Evaluate, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=300, help="questions of each kind")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--bank", type=int, default=16, help="plain samples a question")
    parser.add_argument("--model", default="in-box")
    parser.add_argument("--out", type=Path, help="keep the runs here")
    parser.add_argument("--results", default="graphs.md", metavar="NAME", help="the file in results/ that is written")
    parser.add_argument("--only", action="append", help="labels of contenders, all of them without it")
    asked = parser.parse_args()
    tasks = sources("test", asked.n, asked.seed)
    wanted = [parse_contender(text) for text in CONTENDERS if not asked.only or text.partition("=")[0] in asked.only]
    command = f"python benchmarks/graphs.py --n {asked.n} --seed {asked.seed} --bank {asked.bank} --model {asked.model}"
    command += "".join(f' --only "{label}"' for label in asked.only or ())
    with tempfile.TemporaryDirectory() as directory:
        out = asked.out or Path(directory)
        found = asyncio.run(
            evaluate(tasks, wanted, [asked.model], out=out, bank=asked.bank, seed=asked.seed, concurrency=64)
        )
        text, rows = together(found, tasks, asked.model)
        kept = RESULTS / asked.results
        kept.write_text(f"{text}\n{markdown(found, command).replace('# Evaluation', '## One by one', 1)}")
    kept.with_suffix(".json").write_text(json.dumps({"command": command, "rows": rows}, indent=1) + "\n")
    print(kept.read_text())


def together(found: Evaluation, tasks: list[str], model: str) -> tuple[str, list[dict[str, object]]]:
    """The table over all kinds of questions, and its rows."""
    bank: list[Attempt] = []
    types: dict[str, AnswerType] = {}
    for cell in cross(tasks, [model], [BANK]):
        bank += attempts_in(found.out / "cells" / cell.folder)
        types |= {task.id: task.answer_type for task in load_tasks(cell.tasks).tasks}
    lines = [f"# Graphs on the model {model}", "", f"All {len(types)} questions together.", ""]
    lines.append("| contender | n | accuracy | tokens | calls | seconds | less a vote at equal tokens |")
    lines.append("|---|---|---|---|---|---|---|")
    rows: list[dict[str, object]] = []
    for label in dict.fromkeys(row.cell.contender.label for row in found.rows):
        attempts = [a for row in found.rows if row.cell.contender.label == label for a in row.attempts]
        counted, compared = figures(attempts), beside(attempts, bank, types)
        share = counted.accuracy.percent() if counted.accuracy else ""
        spent = f"{counted.tokens:,.0f} | {counted.calls:.1f} | {counted.seconds:.2f}"
        lines.append(f"| {label} | {counted.n} | {share} | {spent} | {_less(compared)} |")
        rows.append({"contender": label, **asdict(counted), "beside": asdict(compared) if compared else None})
    return "\n".join([*lines, ""]), rows


def _less(compared: Beside | None) -> str:
    if compared is None:
        return ""
    pair = compared.comparison
    samples = f"{compared.samples} sample{'s' if compared.samples > 1 else ''}{' (no more at hand)' * compared.capped}"
    low, high = 100 * pair.difference.low, 100 * pair.difference.high
    return f"{100 * pair.difference.estimate:+.1f} points [{low:+.1f}, {high:+.1f}]; {samples}"


if __name__ == "__main__":
    main()
