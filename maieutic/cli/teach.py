"""`maieutic teach`: have a teacher say what a recipe has to know before it can make rows."""

from typing import TYPE_CHECKING, Annotated

import typer

from maieutic.cli.options import Json, Quiet, with_run_options

if TYPE_CHECKING:
    from maieutic.terminal.options import RunOptions


@with_run_options
def teach(
    dirs: Annotated[list[str], typer.Argument(metavar="DIR|URL…", help="Directories of traces, or of collections.")],
    options: "RunOptions",
    out: Annotated[str, typer.Option(metavar="DIR", help="Where the replies go; goes on there.")],
    recipe: Annotated[str, typer.Option(metavar="NAME", help="Whose questions are asked.")],
    recipe_set: Annotated[
        list[str] | None, typer.Option("--recipe-set", metavar="KEY=VALUE", help="A setting of the recipe.")
    ] = None,
    student: Annotated[
        str | None, typer.Option(metavar="NAME", help="The student's model, for recipes that ask it, too.")
    ] = None,
    tasks: Annotated[
        str | None, typer.Option(metavar="TASKS", help="Where the runs' tasks are from: checks replies by their gold.")
    ] = None,
    rounds: Annotated[int, typer.Option(metavar="N", help="Rounds of questions at most.")] = 8,
    concurrency: Annotated[int, typer.Option(metavar="N", help="Runs under way at once.")] = 8,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Ask a teacher what a recipe has to know."""
    from maieutic.cli.teaching import Wanted, run_teaching

    wanted = Wanted(tuple(dirs), options, out, recipe, tuple(recipe_set or ()), student, tasks, rounds, concurrency)
    raise typer.Exit(run_teaching(wanted, json, quiet))
