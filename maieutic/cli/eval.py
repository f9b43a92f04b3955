"""`maieutic eval`: graphs, models and task sets crossed, with a table, a picture and comparisons in pairs."""

from pathlib import Path
from typing import Annotated

import typer

from maieutic.cli.options import Json, Quiet, here


def eval_(
    tasks: Annotated[list[str], typer.Argument(metavar="TASKS…", help="Task files or environments, one set each.")],
    out: Annotated[
        Path, typer.Option(metavar="DIR", parser=here, help="Where all of it goes; the same one again goes on.")
    ],
    graph: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="A contender: [LABEL=]GRAPH[?key=value&tools=python&temperature=0]."),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="[ROLE=]NAME", help="A model; again for more, or for a role's own.")
    ] = None,
    samples: Annotated[int, typer.Option(metavar="K", help="Attempts at each question; pass@k beside accuracy.")] = 1,
    bank: Annotated[
        int, typer.Option(metavar="N", help="Plain samples a question, for votes at equal tokens; 0 for none.")
    ] = 0,
    compare: Annotated[list[str] | None, typer.Option(metavar="A,B", help="Two contenders, in pairs.")] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Take only the first so many tasks of a set.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Every run's seed follows from it.")] = 0,
    concurrency: Annotated[int, typer.Option(metavar="N", help="Runs under way at once.")] = 16,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare graphs and models on task sets."""
    from maieutic.cli.evaluation import Wanted, run_evaluation

    wanted = Wanted(
        tuple(tasks),
        tuple(graph or ("direct",)),
        tuple(model or ()),
        out,
        samples,
        bank,
        tuple(compare or ()),
        limit,
        seed,
        concurrency,
    )
    raise typer.Exit(run_evaluation(wanted, json, quiet))
