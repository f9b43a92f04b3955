"""The work of `maieutic probe`."""

import asyncio
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maieutic.cli.finding import code_of, first_tasks, tell
from maieutic.cli.progress import shown_on_stderr
from maieutic.collector import stop_on_signals
from maieutic.errors import UserError
from maieutic.evals.contamination import SHARES, Probe, probe_contamination
from maieutic.settings import load_settings
from maieutic.stats import Interval
from maieutic.tasks.task import Task
from maieutic.terminal.options import RunOptions
from maieutic.terminal.roles import refuse_roles


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which model is to be probed, and with what."""

    tasks: str
    options: RunOptions
    out: Path
    shares: tuple[float, ...]
    concurrency: int
    limit: int | None


def run_probe(wanted: Wanted, printed: bool, quiet: bool) -> int:
    """Probe, write probe.json and probe.md, print, and return the exit code. Raises UserError."""
    if wanted.options.graph is not None or wanted.options.tools:
        raise UserError("A probe is plain continuation: leave --graph and tools out.")
    refuse_roles(wanted.options.models, "A probe's model")
    tasks, problems = first_tasks(wanted.tasks, wanted.limit)
    found, interrupted = asyncio.run(_probe(wanted, tasks, quiet))
    tell(wanted.out, "probe", in_words(found), as_fields(wanted, found), as_json=printed)
    return code_of(found.stopped, interrupted, problems)


async def _probe(wanted: Wanted, tasks: list[Task], quiet: bool) -> tuple[Probe, bool]:
    options, settings = wanted.options, load_settings()
    async with stop_on_signals() as stop:
        with shown_on_stderr(quiet) as show:
            found = await probe_contamination(
                tasks,
                out=wanted.out,
                model=options.model_name(settings),
                shares=wanted.shares or SHARES,
                sampling=options.sampling,
                budget=options.budget,
                seed=options.seed or 0,
                concurrency=wanted.concurrency,
                settings=settings,
                on_progress=show,
                stop=stop,
            )
        return found, stop.is_set()


def as_fields(wanted: Wanted, found: Probe) -> dict[str, Any]:
    """The object that `--json` prints."""
    fields = {name: getattr(found, name) for name in ("short", "failed", "stopped")}
    shares = [asdict(row) for row in found.rows]
    return {"tasks": wanted.tasks, "questions": found.tasks, **fields, "shares": shares, "out": str(found.out)}


def in_words(found: Probe) -> str:
    """A table with a line for each share, and how to read it."""
    lines = ["| shown | n | completed word for word | ROUGE-L | answered right |", "|---|---|---|---|---|"]
    for row in found.rows:
        overlap = "-" if row.overlap is None else f"{row.overlap:.3f}"
        cells = f"{100 * row.share:g} %", row.n, _percent(row.completed), overlap, _percent(row.answered)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    left = f"{found.tasks:,} questions"
    left += f"; {found.short:,} were too short to be cut" if found.short else ""
    left += f"; {found.failed:,} runs failed" if found.failed else ""
    note = "Shares with 95 % intervals. Compare with questions that can't be known, such as env:random_calculation."
    return "\n".join([*lines, "", f"{left}. {note}", f"runs: {found.out / 'runs'}"])


def _percent(share: Interval | None) -> str:
    return "-" if share is None else share.percent()
