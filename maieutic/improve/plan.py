"""The `Plan` noun: what a loop is asked for, written down, so that a later start does the same or is refused."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import unquote

from maieutic.errors import UnknownName, UserError
from maieutic.evals import Contender, parse_contender
from maieutic.improve import sources
from maieutic.recipes.recipe import asks, find_recipe
from maieutic.serving.files import write_whole
from maieutic.tasks.source import load_tasks
from maieutic.terminal.settings import parse_settings

FILE = "plan.json"
Choosing = Literal["threshold", "edge"]
Start = Literal["latest", "base"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`sources` are what is trained on, easiest first; `curriculum` chooses among them: by "threshold" the first whose
    held-out accuracy is below `threshold` (SATURN, Liu et al. 2025, arXiv 2505.16368), by "edge" the one whose accuracy
    is nearest to one half. `held_out` are what is measured for each, needed for task files alone; `older` is what must
    not get worse. `questions` of an environment are measured, greedily and with `k` samples each at temperature 1.

    Every round collects with all `graphs` (as `maieutic eval` spells them), `samples` runs a question, and makes rows
    by all `recipes` ("NAME?key=value"). `replay` is the share of a round's rows that is older. A round goes on from the
    latest weights on its own rows; with `start` "base" always from the first ones, on the rows of all rounds (ReST-EM,
    Singh et al. 2024, arXiv 2312.06585). `margin` is the gain that is enough though it isn't significant, None where
    none is. `difficulty` leaves out what is always or never solved; without `gate` rows pass as the recipes give them.
    `teacher` is the model that is asked what recipes have to know, and `teacher_tokens` what one reply of it may use.
    """

    model: str
    sources: tuple[str, ...]
    older: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    graphs: tuple[str, ...] = ("direct",)
    measured_by: str = "direct"
    recipes: tuple[str, ...] = ("solved",)
    rounds: int = 3
    samples: int = 8
    questions: int = 200
    k: int = 4
    threshold: float = 0.75
    curriculum: Choosing = "threshold"
    replay: float = 0.25
    start: Start = "latest"
    margin: float | None = None
    difficulty: bool = True
    gate: bool = True
    teacher: str | None = None
    teacher_tokens: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rounds", "samples", "questions", "k"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: give a number from 1.")
        if not self.sources or not self.graphs or not self.recipes:
            raise UserError("A loop needs something to train on, a graph and a recipe.")
        if not 0 < self.threshold <= 1 or not 0 <= self.replay < 1 or (self.margin is not None and self.margin <= 0):
            raise UserError("The threshold is a share up to 1, the replay one below 1, and the margin is above 0.")
        if self.curriculum not in get_args(Choosing):
            raise UnknownName("curriculum", self.curriculum, get_args(Choosing))
        if self.start not in get_args(Start):
            raise UnknownName("start", self.start, get_args(Start))
        if self.gate and self.difficulty and self.samples == 1 and len(self.graphs) == 1:
            raise UserError("One run a question tells nothing of its difficulty: ask for more, or for any difficulty.")
        if self.held_out and len(self.held_out) != len(self.sources):
            raise UserError(f"There are {len(self.held_out)} held-out sets for {len(self.sources)} sources: one each.")

    @property
    def held(self) -> tuple[str, ...]:
        """What is measured for each source. Raises UserError for a task file without."""
        found = []
        for place, source in enumerate(self.sources):
            if self.held_out:
                found.append(sources.measured(self.held_out[place], self.questions))
            elif (own := sources.held_out(source, self.questions)) is not None:
                found.append(own)
            else:
                raise UserError(f"{source} is a task file: name what is measured in its place with --held-out.")
        return tuple(found)

    @property
    def kept(self) -> tuple[str, ...]:
        """The older sets as they are measured."""
        return tuple(sources.measured(source, self.questions) for source in self.older)

    @property
    def sets(self) -> tuple[str, ...]:
        """All that is measured, each set once."""
        return tuple(dict.fromkeys((*self.held, *self.kept)))

    def contenders(self) -> list[Contender]:
        return [parse_contender(spec) for spec in self.graphs]

    def check(self) -> None:
        """Load whatever is named, so that no mistake is found out after hours. Raises UserError."""
        parse_contender(self.measured_by)
        self.contenders()
        for spec in self.recipes:
            name, settings = recipe_of(spec)
            find_recipe(name, settings)
            if asks(name) and self.teacher is None:
                raise UserError(
                    f"The recipe {name} asks a teacher: name its model with --teacher, or take another one."
                )
        for source in [sources.training(source, 1) for source in self.sources] + list(self.sets):
            load_tasks(source)


def recipe_of(spec: str) -> tuple[str, dict[str, Any]]:
    """Name and settings of a recipe that "NAME?key=value&…" spells."""
    name, _, query = spec.partition("?")
    return name, parse_settings(unquote(pair) for pair in query.split("&") if pair)


def settle(out: Path, plan: Plan, trainer: str, weights: str | None) -> None:
    """Write the plan of a new loop, or see whether this one goes on with what is there: only rounds may be added.

    `weights` are those of the first version, which a loop can't change on its way. Raises UserError.
    """
    path = out / FILE
    asked = json.loads(json.dumps({**asdict(plan), "trainer": trainer, "weights": weights}))
    if path.exists():
        before = _read(path)
        if before.get("weights", weights) != weights:
            raise UserError(
                f"{out} was started with other weights of {plan.model} ({before.get('weights')}, now {weights}): serve "
                "those again, or give another directory."
            )
        for name, value in asked.items():
            if name != "rounds" and before.get(name) != value:
                raise UserError(
                    f"{out} was started with {name} {_shown(before.get(name))}, and now {_shown(value)} is asked for:"
                    " ask for the same, or give another directory."
                )
        if asked["rounds"] < before["rounds"]:
            raise UserError(f"{out} was started for {before['rounds']} rounds: ask for as many, or for more.")
    elif out.exists() and any(not entry.name.startswith(".") for entry in out.iterdir()):
        raise UserError(f"{out} is there and is no loop of an earlier start: give a new directory, or an empty one.")
    write_whole(path, json.dumps(asked, indent=1) + "\n")


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {**data, "rounds": int(data["rounds"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} can't be read ({error}): give another directory.") from error


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
