"""The options of a training: which trainer, and the settings that are given for it."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from maieutic.cli.options import with_options


def training_options(
    trainer: Annotated[
        str, typer.Option(metavar="NAME", help="What trains: sft, dpo on pairs, grpo on prompts.")
    ] = "sft",
    lora: Annotated[int | None, typer.Option(metavar="RANK", help="Train an adapter of this rank.")] = None,
    epochs: Annotated[
        float | None, typer.Option(metavar="N", help="How often each row is gone through [default: 2, grpo: 1].")
    ] = None,
    rate: Annotated[float | None, typer.Option(metavar="X", help="The learning rate.")] = None,
    batch: Annotated[
        int | None, typer.Option(metavar="N", help="Rows a step [default: 16]; grpo: replies [64].")
    ] = None,
    context: Annotated[int | None, typer.Option(metavar="N", help="Tokens of a row at most [default: 4096].")] = None,
    beta: Annotated[
        float | None, typer.Option(metavar="X", help="How strongly the first weights hold it [dpo: 0.1, grpo: 0.001].")
    ] = None,
    sft_weight: Annotated[
        float | None, typer.Option(metavar="X", help="dpo: weight of the chosen side's likelihood [default: 0].")
    ] = None,
    reward: Annotated[
        list[str] | None, typer.Option(metavar="MODULE:NAME", help="grpo: a reward; repeatable [default: correctness].")
    ] = None,
    generations: Annotated[
        int | None, typer.Option(metavar="N", help="grpo: replies to a prompt [default: 8].")
    ] = None,
    reply: Annotated[
        int | None, typer.Option(metavar="N", help="grpo: tokens of a reply at most [default: 256].")
    ] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="grpo: steps, rather than epochs.")] = None,
    most_seconds: Annotated[
        float | None, typer.Option(metavar="S", help="grpo: it ends at the first step after these [default: 3600].")
    ] = None,
) -> tuple[str, dict[str, Any]]:
    """The trainer's name and its settings, None for those that are not given."""
    settings = {
        "lora": lora,
        "epochs": epochs,
        "rate": rate,
        "batch": batch,
        "context": context,
        "beta": beta,
        "sft_weight": sft_weight,
        "rewards": tuple(reward) if reward else None,
        "generations": generations,
        "reply": reply,
        "steps": steps,
        "most_seconds": most_seconds,
    }
    return trainer, settings


def with_training(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` these options in place of its parameter `training`."""
    return with_options(command, "training", training_options)
