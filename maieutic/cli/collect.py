"""`maieutic collect`: many tasks, recorded, and safe to start again."""

from typing import TYPE_CHECKING, Annotated

import typer

from maieutic.cli.options import Json, Quiet, with_run_options

if TYPE_CHECKING:
    from maieutic.terminal.options import RunOptions


@with_run_options
def collect(
    tasks: Annotated[
        str, typer.Argument(metavar="TASKS", help='A JSONL file, or an environment such as "env:rg/chain_sum?n=100".')
    ],
    options: "RunOptions",
    out: Annotated[str, typer.Option(metavar="DIR|URL", help="Where all of it goes; the same one again goes on.")],
    samples: Annotated[int, typer.Option(metavar="N", help="Runs of each task.")] = 1,
    concurrency: Annotated[
        str, typer.Option(metavar="N|LOW-HIGH", help="Runs under way at once; between bounds, as the server bears.")
    ] = "8",
    stop_group_at: Annotated[
        int | None, typer.Option(metavar="N", help="No more runs of a task once so many are correct.")
    ] = None,
    stop_group_agreed: Annotated[
        int | None, typer.Option(metavar="N", help="No more runs of a task whose first N answers agree.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Take part I (from 0) of N of the tasks, as in a Slurm array.")
    ] = None,
    engine: Annotated[str, typer.Option(metavar="NAME", help="asyncio, or ray for many processes.")] = "asyncio",
    actors: Annotated[int, typer.Option(metavar="N", help="Processes of the engine ray.")] = 4,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Take only the first so many tasks.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a graph on every task and record it all."""
    from maieutic.cli.collection import Wanted, run_collection

    wanted = Wanted(
        tasks, options, out, samples, concurrency, limit, shard, stop_group_at, stop_group_agreed, engine, actors
    )
    raise typer.Exit(run_collection(wanted, json, quiet))
