"""`maieutic plan`: try the arms of a graph on tasks, and keep what works on which question, for later choices."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maieutic.cli.options import Json, Quiet, Traces, here, with_run_options

if TYPE_CHECKING:
    from maieutic.terminal.options import RunOptions


@with_run_options
def plan(
    tasks: Annotated[
        str, typer.Argument(metavar="TASKS", help='A JSONL file, or an environment such as "env:rg/chain_sum?n=100".')
    ],
    options: "RunOptions",
    out: Annotated[
        Path, typer.Option(metavar="DIR", parser=here, help="Where plans.jsonl and outcomes.jsonl go; goes on there.")
    ],
    arm: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this arm; repeatable.")] = None,
    rounds: Annotated[int, typer.Option(metavar="N", help="Rounds at most; each keeps half of the arms.")] = 3,
    samples: Annotated[int, typer.Option(metavar="N", help="Trials of an arm in the first round; then doubled.")] = 1,
    concurrency: Annotated[int, typer.Option(metavar="N", help="Runs under way at once.")] = 8,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Take only the first so many tasks.")] = None,
    traces: Traces = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find out which way of answering works on which question."""
    from maieutic.cli.planning import Wanted, search

    options = replace(options, graph=options.graph or "planner", traces=traces or out / "traces")
    wanted = Wanted(tasks, options, out, tuple(arm or ()), rounds, samples, concurrency, limit)
    raise typer.Exit(search(wanted, json, quiet))
