"""`maieutic ask`: one question, what happens on stderr, the answer on stdout."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maieutic.cli.options import Json, Quiet, Traces, with_run_options

if TYPE_CHECKING:
    from maieutic.terminal.options import RunOptions


@with_run_options
def ask(
    options: "RunOptions",
    question: Annotated[
        str | None, typer.Argument(metavar="QUESTION", help="What you want to know; - reads it from stdin.")
    ] = None,
    gold: Annotated[str | None, typer.Option(metavar="ANSWER", help="The right answer, to check against.")] = None,
    file: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="A file for the python tool to read; repeatable.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on with a run that was cut short, or waits for approval.")
    ] = None,
    approve_pending: Annotated[
        str | None, typer.Option(metavar="yes|no", help="With --resume: the word about all calls that wait.")
    ] = None,
    traces: Traces = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Answer one question."""
    from maieutic.cli.answer import Asked, answer

    asked = Asked(question, gold, tuple(file or ()), resume, approve_pending)
    raise typer.Exit(answer(asked, replace(options, traces=traces), json, quiet))
