"""`maieutic judge`: how far a judge can be swayed by position, length, popularity, authority and the like."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maieutic.cli.options import Json, Quiet, here, with_run_options

if TYPE_CHECKING:
    from maieutic.terminal.options import RunOptions


@with_run_options
def judge(
    tasks: Annotated[
        str, typer.Argument(metavar="TASKS", help='A JSONL file, or an environment such as "env:rg/chain_sum?n=100".')
    ],
    options: "RunOptions",
    out: Annotated[
        Path, typer.Option(metavar="DIR", parser=here, help="Where all of it goes; the same one again goes on.")
    ],
    bias: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this bias; repeatable.")] = None,
    injections: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Own texts to put into the wrong candidate, as YAML.")
    ] = None,
    concurrency: Annotated[int, typer.Option(metavar="N", help="Runs under way at once.")] = 8,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Take only the first so many tasks.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure the biases of a judge on tasks whose answers are known."""
    from maieutic.cli.judging import Wanted, measure_judge

    wanted = Wanted(tasks, options, out, tuple(bias or ()), injections, concurrency, limit)
    raise typer.Exit(measure_judge(wanted, json, quiet))
