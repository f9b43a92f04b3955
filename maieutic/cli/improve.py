"""`maieutic improve`: the closed loop: collect, gate, train, measure, promote or roll back, again."""

from pathlib import Path
from typing import Annotated, Any

import typer

from maieutic.cli.options import Json, Quiet, here
from maieutic.cli.training import with_training

_PLAN = (
    "model",
    "measured_by",
    "teacher",
    "teacher_tokens",
    "rounds",
    "samples",
    "questions",
    "k",
    "threshold",
    "curriculum",
    "replay",
    "start",
    "margin",
    "seed",
)
"""Options that are fields of the plan as they are."""


@with_training
def improve(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="in-box, or a server that takes adapters.")],
    env: Annotated[
        list[str], typer.Option(metavar="SOURCE", help="What to train on; again for what comes next, harder ones last.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", parser=here, help="Where all of it goes; the same one again goes on.")
    ],
    training: tuple[str, dict[str, Any]],
    older: Annotated[list[str] | None, typer.Option(metavar="SOURCE", help="What must not get worse.")] = None,
    held_out: Annotated[
        list[str] | None, typer.Option(metavar="SOURCE", help="What is measured, one for each task file.")
    ] = None,
    graph: Annotated[
        list[str] | None, typer.Option(metavar="SPEC", help="What collects: [LABEL=]GRAPH[?key=value].")
    ] = None,
    measured_by: Annotated[str, typer.Option(metavar="SPEC", help="The graph that is measured.")] = "direct",
    recipe: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="What makes rows: NAME[?key=value]; repeatable.")
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model that recipes ask; tutor for the in-box model.")
    ] = None,
    hardest: Annotated[
        int, typer.Option(metavar="N", help="Questions a round that no attempt solved, for the teacher to solve (sft).")
    ] = 32,
    teacher_tokens: Annotated[
        int | None, typer.Option(metavar="N", help="Tokens a reply of it may use, the prompt included.")
    ] = None,
    rounds: Annotated[int, typer.Option(metavar="N", help="Rounds at most.")] = 3,
    samples: Annotated[int, typer.Option(metavar="N", help="Runs of each question that is trained on.")] = 8,
    questions: Annotated[int, typer.Option(metavar="N", help="Questions that an environment is measured on.")] = 200,
    k: Annotated[int, typer.Option(metavar="K", help="Samples of each of them, at temperature 1.")] = 4,
    curriculum: Annotated[
        str, typer.Option(metavar="WAY", help="threshold: the first below it; edge: the one nearest to a half.")
    ] = "threshold",
    threshold: Annotated[float, typer.Option(metavar="SHARE", help="Accuracy at which the next one comes.")] = 0.75,
    replay: Annotated[float, typer.Option(metavar="SHARE", help="Share of older rows in what is trained on.")] = 0.25,
    start: Annotated[str, typer.Option(metavar="WHERE", help="Train from the latest weights, or the base.")] = "latest",
    margin: Annotated[
        float | None, typer.Option(metavar="SHARE", help="A gain that is enough though it isn't significant.")
    ] = None,
    any_difficulty: Annotated[
        bool, typer.Option("--any-difficulty", help="Keep questions that are always or never solved.")
    ] = False,
    no_gate: Annotated[bool, typer.Option("--no-gate", help="Train on rows as the recipes give them.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Every seed follows from it.")] = 0,
    concurrency: Annotated[int, typer.Option(metavar="N", help="Runs under way at once.")] = 32,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Improve a model on its own verified runs."""
    given = dict(locals())
    from maieutic.cli.improving import Wanted, run_improvement

    asked = {
        "sources": tuple(env),
        "older": tuple(older or ()),
        "held_out": tuple(held_out or ()),
        "graphs": tuple(graph or ("direct",)),
        "recipes": tuple(recipe or ()),
        "difficulty": not any_difficulty,
        "gate": not no_gate,
        **{name: given[name] for name in _PLAN},
    }
    raise typer.Exit(run_improvement(Wanted(asked, *training, out, concurrency, hardest), json, quiet))
