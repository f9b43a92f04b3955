"""The work of `maieutic judge`."""

import asyncio
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maieutic.cli.finding import code_of, first_tasks, tell
from maieutic.cli.progress import shown_on_stderr
from maieutic.collector import stop_on_signals
from maieutic.errors import UserError
from maieutic.evals.bias import BIASES, LEVEL, Finding, Measurement, measure
from maieutic.settings import load_settings
from maieutic.stats import Interval
from maieutic.tasks.task import Task
from maieutic.terminal.options import RunOptions
from maieutic.terminal.roles import refuse_roles

_HEAD = ("bias", "n", "missing", "ties", "flips", "right before", "right after", "swayed", "helped", "p")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which judge is to be measured, and on what."""

    tasks: str
    options: RunOptions
    out: Path
    biases: tuple[str, ...]
    injections: Path | None
    concurrency: int
    limit: int | None


def measure_judge(wanted: Wanted, printed: bool, quiet: bool) -> int:
    """Measure, write bias.json and bias.md, print, and return the exit code. Raises UserError."""
    if wanted.options.graph is not None:
        raise UserError("A judge is no graph: name an own one with --set judge=NAME, and leave --graph out.")
    refuse_roles(wanted.options.models, "A judge")
    if wanted.options.tools:
        raise UserError("A judge has no tools: leave them out.")
    tasks, problems = first_tasks(wanted.tasks, wanted.limit)
    found, interrupted = asyncio.run(_measure(wanted, tasks, quiet))
    tell(wanted.out, "bias", in_words(wanted, found), as_fields(wanted, found), as_json=printed)
    return code_of(found.stopped, interrupted, problems)


async def _measure(wanted: Wanted, tasks: list[Task], quiet: bool) -> tuple[Measurement, bool]:
    options, settings = wanted.options, load_settings()
    async with stop_on_signals() as stop:
        with shown_on_stderr(quiet) as show:
            found = await measure(
                tasks,
                out=wanted.out,
                model=options.model_name(settings),
                biases=wanted.biases or BIASES,
                graph_settings=options.graph_settings,
                injections=wanted.injections,
                sampling=options.sampling,
                budget=options.budget,
                seed=options.seed or 0,
                concurrency=wanted.concurrency,
                settings=settings,
                on_progress=show,
                stop=stop,
            )
        return found, stop.is_set()


def as_fields(wanted: Wanted, found: Measurement) -> dict[str, Any]:
    """The object that `--json` prints."""
    return {
        "tasks": wanted.tasks,
        "model": wanted.options.model_name(load_settings()),
        "settings": wanted.options.graph_settings,
        "pairs": found.pairs,
        "skipped": found.skipped,
        "failed": found.failed,
        "judged": found.judged,
        "unread": found.unread,
        "findings": found.findings,
        "biases": [asdict(row) for row in found.rows],
        "out": str(found.out),
        "stopped": found.stopped,
    }


def in_words(wanted: Wanted, found: Measurement) -> str:
    """A table with a line for each bias, and what its columns are."""
    lines = [f"| {' | '.join(_HEAD)} |", f"|{'---|' * len(_HEAD)}"]
    for row in found.rows:
        shares = [_percent(share) for share in (row.flips, row.clean, row.biased, row.swayed)]
        p = "-" if row.p_value is None else f"{row.p_value:.2g}"
        cells = [row.bias, row.n, row.missing, row.ties, *shares, row.helped, p]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    first = next((row.first for row in found.rows if row.first is not None), None)
    if first is not None:
        lines += [
            "",
            f"Of {first.n:,} choices {first.percent()} fell on what stood first; 50 % would be no preference.",
        ]
    lines += ["", *_findings(found)]
    left = f"{found.pairs:,} pairs"
    left += f"; {found.skipped:,} tasks gave none" if found.skipped else ""
    left += f"; {found.failed:,} judgements failed" if found.failed else ""
    return "\n".join(
        [
            *lines,
            "",
            f"{left}. Shares with 95 % intervals: flips are choices that changed, swayed are right ones that became "
            "wrong. Chance is the same pair judged twice: what a bias does is what goes beyond it.",
            f"runs: {found.out / 'runs'}",
        ]
    )


def _findings(found: Measurement) -> list[str]:
    """What is shown and what isn't, and how to see why nothing could be read."""
    named: dict[Finding, list[str]] = {}
    for bias, what in found.findings.items():
        named.setdefault(what, []).append(_place(found, bias) if what == "swayed" else bias)
    level = f"p at most {LEVEL:g} over {len(found.findings)} biases"
    said: list[tuple[Finding, str]] = [
        ("swayed", f"Swayed by ({level})"),
        ("put off", f"Put off by ({level})"),
        ("not shown", "Not shown"),
    ]
    lines = [f"{words}: {', '.join(named[what])}." for what, words in said if what in named]
    if found.unread:
        seen = f"maieutic trace show {found.example} --traces {found.out / 'runs' / 'traces'}"
        lines.append(
            f"In {found.unread:,} of {found.judged:,} judgements no choice could be read; one is shown by: {seen}"
        )
    if "unread" in named:
        lines.append(
            f"Nothing can be said of {', '.join(named['unread'])}: no pair has two choices that could be read."
        )
    return lines


def _place(found: Measurement, bias: str) -> str:
    """A bias, and of position which place is preferred."""
    first = next(row.first for row in found.rows if row.bias == bias)
    if first is None:
        return bias
    return f"{bias} (what stands {'first' if first.estimate > 0.5 else 'last'})"


def _percent(share: Interval | None) -> str:
    return "-" if share is None else share.percent()
