"""The work of `maieutic collect`."""

import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from typing import Any

from maieutic.cli.codes import FAILED, INTERRUPTED, WRONG_REQUEST
from maieutic.cli.progress import shown_on_stderr
from maieutic.collector import CollectReport, collect, stop_on_signals
from maieutic.settings import load_settings
from maieutic.terminal.options import RunOptions
from maieutic.terminal.wording import usage

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be collected."""

    tasks: str
    options: RunOptions
    out: str
    samples: int
    concurrency: str
    limit: int | None
    shard: str | None
    stop_group_at: int | None
    stop_group_agreed: int | None
    engine: str
    actors: int


def run_collection(wanted: Wanted, as_json: bool, quiet: bool) -> int:
    """Collect, print, and return the exit code. Raises UserError where something can't be done as asked."""
    report, interrupted = asyncio.run(_collect(wanted, quiet))
    for problem in report.problems[:_SHOWN]:
        print(f"maieutic: {problem}", file=sys.stderr)
    if len(report.problems) > _SHOWN:
        print(f"maieutic: {len(report.problems) - _SHOWN} more lines can't be used.", file=sys.stderr)
    print(json.dumps(fields(report), ensure_ascii=False) if as_json else in_words(report))
    if report.stopped:
        if as_json:
            print(f"maieutic: {report.stopped}", file=sys.stderr)
        return INTERRUPTED if interrupted else FAILED
    if report.problems:
        return WRONG_REQUEST
    return FAILED if report.failed and not report.done else 0


async def _collect(wanted: Wanted, quiet: bool) -> tuple[CollectReport, bool]:
    options, settings = wanted.options, load_settings()
    async with stop_on_signals() as stop:
        with shown_on_stderr(quiet) as show:
            report = await collect(
                wanted.tasks,
                out=wanted.out,
                graph=options.graph_name(settings),
                model=options.model_name(settings),
                models=options.models,
                samples=wanted.samples,
                concurrency=wanted.concurrency,
                seed=options.seed or 0,
                tools=options.tools,
                sandbox=options.sandbox,
                unsafe_local=options.unsafe_local,
                approve=options.approve,
                oracle=options.oracle,
                budget=options.budget,
                sampling=options.sampling,
                graph_settings=options.graph_settings,
                limit=wanted.limit,
                shard=wanted.shard,
                stop_group_at=wanted.stop_group_at,
                stop_group_agreed=wanted.stop_group_agreed,
                engine=wanted.engine,
                actors=wanted.actors,
                on_progress=show,
                settings=settings,
                stop=stop,
            )
        return report, stop.is_set()


def fields(report: CollectReport) -> dict[str, Any]:
    """The object that `--json` prints."""
    return {**asdict(report), "out": str(report.out), "traces": str(report.traces), "results": str(report.results)}


def in_words(report: CollectReport) -> str:
    """A few lines: what was done, how it fared, where it is, and what to do next."""
    summary = report.summary
    earlier = f" ({report.done - report.new} of them before)" if report.new < report.done else ""
    lines = [f"{report.done} of {report.total} runs{earlier}, {usage(summary.usage)} of model work"]
    if summary.accuracy is not None:
        others = [f"{n} {outcome}" for outcome, n in summary.outcomes.items() if outcome != "correct"]
        lines.append(
            f"correct: {summary.correct} of {summary.accuracy.n}, {summary.accuracy.percent()} (95 % interval)"
            + (f"; {', '.join(others)}" if others else "")
        )
    if summary.abstained and summary.coverage is not None:
        said = f"answered: {summary.coverage.percent()} of {summary.coverage.n}, {summary.abstained} abstained"
        right = f"; correct of those: {summary.selective.percent()}" if summary.selective else ""
        lines.append(said + right)
    if summary.partial:
        lines.append(f"partial: {summary.partial} runs ended before their graph did")
    if report.left_out:
        lines.append(f"left out: {report.left_out} runs whose group had ended early")
    if report.failed:
        lines.append(f"failed: {report.failed} runs; the same command tries them again")
        lines += [f"  {n} × {message}" for message, n in report.failures.items()]
    lines.append(f"results: {report.place}/{report.results.relative_to(report.out)}")
    lines.append(f"traces:  {report.place}/{report.traces.relative_to(report.out)}".removesuffix("/."))
    if report.stopped:
        lines.append(report.stopped)
    elif summary.correct:
        lines.append(f"next:    maieutic export {report.place} --recipe solved --format trl-sft --out rows.jsonl")
    return "\n".join(lines)
