"""The work of `maieutic teach`."""

import asyncio
import json
import shlex
from dataclasses import dataclass

from maieutic.cli.codes import FAILED, INTERRUPTED
from maieutic.cli.progress import shown_on_stderr
from maieutic.collector import stop_on_signals
from maieutic.collector.teach import TeachReport, folders, teach
from maieutic.errors import UserError
from maieutic.settings import load_settings
from maieutic.terminal.options import RunOptions
from maieutic.terminal.settings import parse_settings


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be asked of whom."""

    dirs: tuple[str, ...]
    options: RunOptions
    out: str
    recipe: str
    recipe_settings: tuple[str, ...]
    student: str | None
    tasks: str | None
    rounds: int
    concurrency: int


def run_teaching(wanted: Wanted, as_json: bool, quiet: bool) -> int:
    """Ask, print, and return the exit code. Raises UserError where something can't be done as asked."""
    if wanted.rounds < 1:
        raise UserError(f"rounds is {wanted.rounds}: give a number from 1.")
    report, interrupted = asyncio.run(_teach(wanted, quiet))
    if as_json:
        fields = {"out": str(report.out), "rounds": report.rounds, "replies": report.replies, "open": report.open}
        print(json.dumps({**fields, "stopped": report.stopped}, ensure_ascii=False))
    else:
        print(in_words(wanted, report))
    if interrupted:
        return INTERRUPTED
    return FAILED if report.open and not report.replies else 0


async def _teach(wanted: Wanted, quiet: bool) -> tuple[TeachReport, bool]:
    options, settings = wanted.options, load_settings()
    async with stop_on_signals() as stop:
        with shown_on_stderr(quiet) as show:
            report = await teach(
                wanted.dirs,
                wanted.recipe,
                out=wanted.out,
                model=options.model_name(settings),
                models=options.models,
                student=wanted.student,
                recipe_settings=parse_settings(wanted.recipe_settings),
                tasks=wanted.tasks,
                rounds=wanted.rounds,
                graph=options.graph or "direct",
                concurrency=wanted.concurrency,
                seed=options.seed or 0,
                tools=options.tools,
                sandbox=options.sandbox,
                unsafe_local=options.unsafe_local,
                approve=options.approve,
                budget=options.budget,
                sampling=options.sampling,
                graph_settings=options.graph_settings,
                on_progress=show,
                settings=settings,
                stop=stop,
            )
        return report, stop.is_set()


def in_words(wanted: Wanted, report: TeachReport) -> str:
    """A few lines: what was asked, and what to do with it."""
    lines = [f"{report.replies} replies in {report.rounds} round{'s' * (report.rounds != 1)} under {report.out}"]
    if report.open:
        lines.append(f"{report.open} questions are open: {report.stopped}")
    places = shlex.join([*wanted.dirs, *map(str, folders(report.out))])
    settings = "".join(f" --set {shlex.quote(one)}" for one in wanted.recipe_settings)
    lines.append(f"next:    maieutic export {places} --recipe {wanted.recipe}{settings} --out rows.jsonl")
    return "\n".join(lines)
