"""`maieutic trace`: which runs are recorded, and what happened in one."""

import json as json_
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maieutic.cli.options import Json, here
from maieutic.errors import TraceError, UserError

if TYPE_CHECKING:
    from maieutic.trace.reader import TraceReader
    from maieutic.trace.record import RunSummary

trace_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
_SHOWN = 20

Where = Annotated[Path | None, typer.Option(metavar="DIR", parser=here, help="Where it was recorded.")]


@trace_app.callback()
def trace(context: typer.Context) -> None:
    """Read what was recorded."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@trace_app.command("list")
def list_(
    traces: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", parser=here, help="Traces, or a collection.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", help="The newest so many runs; 0 lists all.")] = _SHOWN,
    json: Json = False,
) -> None:
    """List recorded runs, newest last."""
    with _reader(traces) as reader:
        runs, hidden = _runs(reader)
        shown = runs[-limit:] if limit > 0 else runs
        if json:
            print(json_.dumps([asdict(run) for run in shown], ensure_ascii=False))
        for run in shown if not json else ():
            print(_line(run))
        if not json and len(shown) < len(runs):
            print(f"the newest {len(shown)} of {len(runs)} runs in {reader.root}")
        elif not json and not runs and hidden is None:
            print(f"There are no runs in {reader.root} yet.")
    if hidden is not None:
        raise hidden


@trace_app.command()
def show(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="A run's id, or its beginning or end.")],
    traces: Where = None,
    full: Annotated[bool, typer.Option(help="Whole texts, prompts included.")] = False,
    json: Json = False,
) -> None:
    """Print a run: who said what, tools, votes, verdicts."""
    with _reader(traces) as reader:
        run = reader.run(_find(reader, run_id))
    if json:
        print(json_.dumps(asdict(run), ensure_ascii=False, default=str))
        return
    from maieutic.cli.tree import print_run

    print_run(run, full)


def _reader(traces: Path | None) -> "TraceReader":
    from maieutic.settings import load_settings
    from maieutic.trace.reader import TraceReader

    return TraceReader(traces if traces is not None else load_settings().traces_dir)


def _runs(reader: "TraceReader") -> tuple[list["RunSummary"], TraceError | None]:
    """All runs that can be read, and what hides the others."""
    runs: list[RunSummary] = []
    try:
        for run in reader.runs():
            runs.append(run)
    except TraceError as error:
        return runs, error
    return runs, None


def _find(reader: "TraceReader", run_id: str) -> str:
    """The id that `run_id` abbreviates. Where some runs can't be read, it may be one of them: TraceError."""
    runs, hidden = _runs(reader)
    ids = [run.run_id for run in runs]
    found = [known for known in ids if known.startswith(run_id) or known.endswith(run_id)]
    if not found and hidden is not None:
        raise hidden
    if run_id in ids or not found:
        return run_id
    if len(found) > 1:
        raise UserError(f"{run_id} may be any of {len(found)} runs: give more of its id.")
    return found[0]


def _line(run: "RunSummary") -> str:
    begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started))
    state = "unfinished" if run.finished is None else "partial" if run.partial else "done"
    outcome = run.outcome.replace("_", " ") if run.outcome else "-"
    tokens = (run.prompt_tokens or 0) + (run.completion_tokens or 0)
    calls = "1 call" if run.calls == 1 else f"{run.calls} calls"
    return f"{run.run_id}  {begun}  {run.graph} · {run.models}  {state}  {outcome}  {calls}, {tokens:,} tokens"
