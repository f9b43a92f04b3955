"""`maieutic calibrate`: how often a model is right when it is this sure, learnt from recorded runs."""

from pathlib import Path
from typing import Annotated

import typer

from maieutic.cli.options import Json, here


def calibrate(
    dirs: Annotated[
        list[Path], typer.Argument(metavar="DIR…", parser=here, help="Directories of traces, or of collections.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", parser=here, help="Where the curves go, as JSON.")],
    tasks: Annotated[
        str | None, typer.Option(metavar="TASKS", help="The tasks that were run: then losing answers count too.")
    ] = None,
    fit: Annotated[str, typer.Option(metavar="NAME", help="isotonic, platt, or auto.")] = "auto",
    risk: Annotated[float, typer.Option(metavar="X", help="The share of wrong answers that may be given.")] = 0.1,
    json: Json = False,
) -> None:
    """Learn from runs how far a model's confidence can be trusted."""
    from maieutic.cli.calibrating import Wanted, learn

    raise typer.Exit(learn(Wanted(tuple(dirs), out, tasks, fit, risk), json))
