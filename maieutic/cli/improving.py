"""The work of `maieutic improve`."""

import asyncio
import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maieutic.cli.codes import FAILED, INTERRUPTED
from maieutic.cli.progress import Lines
from maieutic.collector import stop_on_signals
from maieutic.errors import MissingExtra
from maieutic.improve.core import Improvement, improve
from maieutic.improve.picture import draw
from maieutic.improve.plan import Plan
from maieutic.improve.report import as_json, markdown
from maieutic.improve.trainer import make_trainer
from maieutic.improve.version import find_shelf
from maieutic.serving.files import write_whole
from maieutic.settings import load_settings

HARDEST = 32
_MANY = {"sources": "env", "older": "older", "held_out": "held-out", "graphs": "graph", "recipes": "recipe"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted, as it was typed: the plan's fields, the trainer and its settings, None for those not given.

    `hardest` is how many questions a round that no attempt has solved a teacher is asked, if there is one.
    """

    plan: dict[str, Any]
    trainer: str
    training: dict[str, Any]
    out: Path
    concurrency: int
    hardest: int = HARDEST

    @property
    def demonstrated(self) -> tuple[str, ...]:
        """The recipe by which the teacher solves them; none where nobody does, or what is trained on is no dialogue."""
        if self.plan["teacher"] is None or self.hardest < 1 or self.trainer != "sft":
            return ()
        return (f"demonstrated?newest={self.hardest}&least={self.plan['samples']}&prompt=own",)


def run_improvement(wanted: Wanted, printed: bool, quiet: bool) -> int:
    """Improve, write report.md, report.json and accuracy.png, print, and return the exit code. Raises UserError."""
    done, interrupted = asyncio.run(_improve(wanted, quiet))
    command = _command(wanted)
    text = markdown(done, command)
    write_whole(wanted.out / "report.md", text)
    write_whole(wanted.out / "report.json", json.dumps(as_json(done, command), indent=1) + "\n")
    try:
        draw(done, wanted.out / "accuracy.png")
    except MissingExtra as error:
        print(f"maieutic: {error}", file=sys.stderr)
    print(json.dumps(as_json(done, command), ensure_ascii=False) if printed else text)
    if done.stopped:
        print(f"maieutic: {done.stopped}", file=sys.stderr)
        return INTERRUPTED if interrupted else FAILED
    return 0


async def _improve(wanted: Wanted, quiet: bool) -> tuple[Improvement, bool]:
    settings = load_settings()
    trainer = make_trainer(wanted.trainer, wanted.training)
    recipes = (*(wanted.plan["recipes"] or (trainer.recipe,)), *wanted.demonstrated)
    plan = Plan(**{**wanted.plan, "recipes": recipes})
    shelf = find_shelf(plan.model, wanted.out, trainer.lora, settings)
    lines = Lines(_told)
    async with stop_on_signals() as stop:
        done = await improve(
            plan,
            wanted.out,
            trainer,
            shelf,
            concurrency=wanted.concurrency,
            settings=settings,
            on_step=None if quiet else _told,
            on_progress=None if quiet else lines,
            stop=stop,
        )
        return done, stop.is_set()


def _told(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _command(wanted: Wanted) -> str:
    """The command that makes it again."""
    words = ["maieutic", "improve", wanted.plan["model"]]
    defaults = {name: field.default for name, field in Plan.__dataclass_fields__.items()}
    for name, value in wanted.plan.items():
        if name in _MANY:
            for one in value:
                words += [f"--{_MANY[name]}", one]
        elif name == "difficulty":
            words += [] if value else ["--any-difficulty"]
        elif name == "gate":
            words += [] if value else ["--no-gate"]
        elif name != "model" and value != defaults[name]:
            words += [f"--{name.replace('_', '-')}", str(value)]
    words += [] if wanted.hardest == HARDEST else ["--hardest", str(wanted.hardest)]
    words += [] if wanted.trainer == "sft" else ["--trainer", wanted.trainer]
    for name, value in wanted.training.items():
        if name == "rewards":
            words += [word for one in value or () for word in ("--reward", one)]
        elif value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join([*words, "--out", str(wanted.out)])
