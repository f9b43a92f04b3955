"""`maieutic demo`: the main job, end to end, on the in-box model."""

import typer

SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def demo(context: typer.Context) -> None:
    """Questions, graphs, traces and rows on the in-box model."""
    from maieutic.demo import main

    raise typer.Exit(main(context.args))
