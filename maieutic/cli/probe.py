"""`maieutic probe`: whether a model has seen a benchmark: it is shown the beginnings of its questions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maieutic.cli.options import Json, Quiet, here, with_run_options

if TYPE_CHECKING:
    from maieutic.terminal.options import RunOptions


@with_run_options
def probe(
    tasks: Annotated[
        str, typer.Argument(metavar="TASKS", help='A JSONL file, or an environment such as "env:saturn?n=100".')
    ],
    options: "RunOptions",
    out: Annotated[
        Path, typer.Option(metavar="DIR", parser=here, help="Where all of it goes; the same one again goes on.")
    ],
    share: Annotated[
        list[float] | None, typer.Option(metavar="X", help="How much of a question is shown, 0.6 say; repeatable.")
    ] = None,
    concurrency: Annotated[int, typer.Option(metavar="N", help="Runs under way at once.")] = 8,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Take only the first so many tasks.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Probe a model for questions that it knows by heart."""
    from maieutic.cli.probing import Wanted, run_probe

    wanted = Wanted(tasks, options, out, tuple(share or ()), concurrency, limit)
    raise typer.Exit(run_probe(wanted, json, quiet))
