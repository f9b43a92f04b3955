"""`maieutic demo`: the main job once through, for real: questions, graphs, verified answers, traces, training rows."""

import argparse
import asyncio
import secrets
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maieutic.errors import UserError
from maieutic.types import Sampling

if TYPE_CHECKING:
    from rich.console import Console

    from maieutic.collector import CollectReport, Progress
    from maieutic.recipes.export import ExportReport
    from maieutic.tasks.task import Task

DEFAULT_OUT = Path("maieutic-demo")
QUESTIONS = 100
# One difficulty a family, chosen by `python benchmarks/self_consistency.py --levels-only`, which asks the dev split.
FAMILIES = {
    "chain_sum": "min_terms=4&max_terms=4&min_digits=2&max_digits=2",
    "products": "min_terms=2&max_terms=2&min_digits=1&max_digits=2",
    "leg_counting": "min_animals=3&max_animals=3&max_instances=9",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table: a graph, and what is special about how it is run."""

    label: str
    graph: str
    tools: tuple[str, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    concurrency: int = 32


SAMPLED = Sampling(temperature=1.0)
ENTRIES = (
    Entry("direct", "direct", sampling=SAMPLED, concurrency=64),
    Entry("direct, greedy", "direct", sampling=Sampling(temperature=0.0), concurrency=64),
    Entry("tool_loop, python", "tool_loop", ("python",), SAMPLED, 16),
    Entry("self_consistency", "self_consistency", sampling=SAMPLED),
    Entry("critique", "critique", sampling=SAMPLED, concurrency=64),
    Entry("debate", "debate", sampling=SAMPLED),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit code. Raises UserError for what can't be done as asked."""
    parser = argparse.ArgumentParser(prog="maieutic demo", description=__doc__)
    parser.add_argument("--model", default="in-box", help="the model that answers (default: in-box)")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help=f"where it all goes (default: ./{DEFAULT_OUT})")
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="questions of each family (default: 100)")
    parser.add_argument("--seed", type=int, help="ask the questions of an earlier demo again (default: new ones)")
    asked = parser.parse_args(argv)
    if asked.questions < 1:
        raise UserError(f"--questions is {asked.questions}: give a number from 1.")
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    return asyncio.run(_demo(asked.model, _new_directory(asked.out), asked.questions, seed))


async def _demo(model: str, out: Path, questions: int, seed: int) -> int:
    from rich.console import Console

    from maieutic.collector import stop_on_signals

    console = Console(highlight=False)
    tasks = _draw(questions, seed)
    _introduce(console, model, tasks, seed)
    entries = await _possible(console)
    reports: list[tuple[Entry, CollectReport]] = []
    async with stop_on_signals() as stop:
        with _progress(console) as bar:
            for entry in entries:
                report = await _collect(bar, entry, tasks, model, out, seed, stop)
                reports.append((entry, report))
                if report.stopped:
                    break
    console.print(_table(reports))
    _tell_failures(console, reports)
    if reports[-1][1].stopped:
        console.print(reports[-1][1].stopped.partition(";")[0] + ".")
        return 130 if stop.is_set() else 1
    _tell_next(console, out, reports)
    return 0


def _draw(questions: int, seed: int) -> "list[Task]":
    """Test questions, which the in-box model has not been trained on; which is which their text decides."""
    from maieutic.tasks.source import load_tasks

    sources = (f"env:rg/{name}?n={questions}&seed={seed}&split=test&{level}" for name, level in FAMILIES.items())
    return [task for source in sources for task in load_tasks(source).tasks]


def _introduce(console: "Console", model: str, tasks: "list[Task]", seed: int) -> None:
    console.print(
        f"{len(tasks)} questions of the held-out test split (seed {seed}), answered by {model} through several graphs;"
        " every answer is checked.",
        markup=False,
    )
    for task in tasks[:: len(tasks) // len(FAMILIES)]:
        console.print("  … " + " ".join(task.question.split())[-72:], style="dim", markup=False)


async def _possible(console: "Console") -> list[Entry]:
    """The entries that can run here; says of the others why they can't."""
    from maieutic.settings import load_settings
    from maieutic.tools.sandbox.tier import ensure_sandbox

    try:
        await ensure_sandbox(load_settings().sandbox)
    except UserError as error:
        console.print(f"[bold yellow]Left out: every graph with the python tool.[/bold yellow] {error}")
        return [entry for entry in ENTRIES if not entry.tools]
    return list(ENTRIES)


async def _collect(
    bar: "_Bar", entry: Entry, tasks: "list[Task]", model: str, out: Path, seed: int, stop: asyncio.Event
) -> "CollectReport":
    from maieutic.collector import collect

    show = bar.start(entry.label, len(tasks))
    return await collect(
        tasks,
        out=out / _directory(entry),
        graph=entry.graph,
        model=model,
        tools=entry.tools,
        sampling=entry.sampling,
        concurrency=entry.concurrency,
        seed=seed,
        on_progress=show,
        stop=stop,
    )


def _directory(entry: Entry) -> str:
    return entry.label.replace(", ", "-").replace(" ", "-")


def _new_directory(out: Path) -> Path:
    """`run-1` in `out`, or the next number that is free."""
    number = 1
    while (out / f"run-{number}").exists():
        number += 1
    return out / f"run-{number}"


class _Bar:
    """A line of progress for each graph: live on a terminal, elsewhere written once it is done."""

    def __init__(self, bar: Any, console: "Console") -> None:
        self._bar = bar
        self._console = console

    def start(self, label: str, total: int) -> Any:
        line = self._bar.add_task(label, total=total, words="")

        def show(progress: "Progress") -> None:
            done = progress.done + progress.failed
            words = f"{progress.correct} correct"
            if progress.eta:
                words += f" · {progress.rate:.0f}/s · {progress.eta:.0f} s left"
            self._bar.update(line, completed=done, words=words)
            if done == total and not self._console.is_terminal:
                self._console.print(f"{label}: {done} done, {words}", soft_wrap=True, markup=False)

        return show


@contextmanager
def _progress(console: "Console") -> Iterator[_Bar]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    name = TextColumn("{task.description:<22}")
    columns = (name, BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("[dim]{task.fields[words]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield _Bar(bar, console)


def _table(reports: "list[tuple[Entry, CollectReport]]") -> Any:
    from rich.table import Table

    table = Table("graph", caption="95 % intervals (Wilson) · temperature 1, greedy: 0", caption_justify="left")
    for name in ("n", "correct", "calls", "tokens", "seconds"):
        table.add_column(name, justify="right")
    for entry, report in reports:
        summary = report.summary
        share = summary.accuracy.percent() if summary.accuracy else "-"
        usage = summary.usage
        row = (str(summary.n), share, f"{usage.calls:,}", f"{usage.tokens:,}", f"{report.seconds:.1f}")
        table.add_row(entry.label, *row)
    return table


def _tell_failures(console: "Console", reports: "list[tuple[Entry, CollectReport]]") -> None:
    for entry, report in reports:
        for message, number in report.failures.items():
            console.print(f"{entry.label}: {number} runs failed: {message}", style="yellow", markup=False)


def _tell_next(console: "Console", out: Path, reports: "list[tuple[Entry, CollectReport]]") -> None:
    traces, rows = f"{out}/*/traces", _export(out, reports)
    made = f"{rows.rows:,} training rows: {rows.out}" if rows else "no run was right, so there are no training rows"
    console.print(f"Every call is recorded: {traces} · {made}", soft_wrap=True, markup=False)
    next_ = f'{_command()} ask "What is 47 + 38 - 12?" --graph debate'
    console.print(f"Next: {next_}   or   {_command()} chat", soft_wrap=True, markup=False)


def _export(out: Path, reports: "list[tuple[Entry, CollectReport]]") -> "ExportReport | None":
    from maieutic.recipes.export import export

    if not any(report.summary.correct for _, report in reports):
        return None
    return export([report.traces for _, report in reports], "solved", "trl-sft", out / "rows.jsonl")


def _command() -> str:
    """How this program is started from here."""
    installed = Path(sys.executable).with_name("maieutic")
    if shutil.which("maieutic") or not installed.exists():
        return "maieutic"
    here = Path.cwd()
    return str(installed.relative_to(here)) if installed.is_relative_to(here) else str(installed)
