"""`maieutic ask`: one question, what happens on stderr, the answer on stdout."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maieutic.cli.options import Json, Quiet, Traces, with_run_options

if TYPE_CHECKING:
    from maieutic.terminal.options import RunOptions


@with_run_options
def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What you want to know; - reads it from stdin.")],
    options: "RunOptions",
    gold: Annotated[str | None, typer.Option(metavar="ANSWER", help="The right answer, to check against.")] = None,
    file: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="A file for the python tool to read; repeatable.")
    ] = None,
    traces: Traces = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Answer one question."""
    from maieutic.cli.answer import answer

    raise typer.Exit(answer(question, gold, options, traces, json, quiet, tuple(file or ())))
