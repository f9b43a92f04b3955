"""Environments whose tasks are drawn item by item: difficulty knobs, levels, and a random number generator of its own
for each item.

An environment of this kind is a function that makes one item, registered with its levels from the easiest on:

    class Coins(Knobs):
        tosses: int = Field(default=3, ge=1, le=20)
        \"\"\"Coins thrown.\"\"\"

    @generated("coins", levels=(Coins(), Coins(tosses=8)))
    def coins(knobs: Coins, rng: Random) -> Draft | None: ...

`env:coins?level=2&tosses=5` starts from a level and turns single knobs. An item depends on nothing but the name, the
knobs, the seed and its number, so that the same request brings the same items, and other seeds bring others.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from maieutic.errors import TaskError, UnknownName
from maieutic.tasks.environment import PREFIX, Request, environment, load_environment
from maieutic.tasks.task import AnswerType, Task

MOST_REFUSALS = 2_000
"""Draws in a row that may come to nothing before a request is given up."""


class Knobs(BaseModel):
    """The difficulty knobs of an environment: each has a default, bounds, and a docstring that says what it is.

    A field `kind` is also what may stand after the slash: `env:NAME/KIND`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


K = TypeVar("K", bound=Knobs)


@dataclass(frozen=True, slots=True)
class Draft:
    """One item as its generator makes it.

    `gold` is one right answer. `instance` is what the verifier checks by, where that is more than the gold answer.
    `chance` is the probability that a well-formed answer drawn at random is right, None where there is no such thing.
    """

    question: str
    gold: Any
    answer_type: AnswerType = "text"
    instance: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    difficulty: float | None = None
    chance: float | None = None
    verifier: str | None = None


Maker = Callable[[K, Random], Draft | None]


@dataclass(frozen=True, slots=True)
class Generated:
    """What is known of an environment of this kind."""

    name: str
    card: str
    levels: tuple[Knobs, ...]
    kinds: tuple[str, ...] = ()


_known: dict[str, Generated] = {}


def generated(name: str, *, levels: Sequence[K], kinds: Sequence[str] = ()) -> Callable[[Maker[K]], Maker[K]]:
    """Register the decorated function, which makes one item or None where a draw is of no use, as an environment.

    `kinds` are the values of the knob `kind`, where there is one. The function's docstring is the environment's card.
    """

    def register(make: Maker[K]) -> Maker[K]:
        card = " ".join((make.__doc__ or "").split())
        known = Generated(name, card, tuple(levels), tuple(kinds))
        _known[name] = known

        def tasks(request: Request) -> Iterator[Task]:
            return _drawn(request, known, make)

        tasks.__doc__ = make.__doc__
        environment(name)(tasks)
        return make

    return register


def about(name: str) -> Generated | None:
    """What is known of the environment; None for one of another kind, such as `rg`. Raises UnknownName."""
    load_environment(name)
    return _known.get(name)


def instance_of(task: Task) -> dict[str, Any]:
    """What a verifier checks by. Raises TaskError for a task that doesn't come from its environment."""
    instance = task.metadata.get("instance")
    if not isinstance(instance, dict):
        raise TaskError(f"Task {task.id!r} doesn't come from the environment whose verifier it names: make it again.")
    return instance


def _drawn(request: Request, known: Generated, make: Maker[Any]) -> Iterator[Task]:
    level, knobs = _knobs(request, known)
    settings = {"kind": request.item, **request.options} if request.item else dict(request.options)
    suffix = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=4).hexdigest()
    refused = 0
    for index in count():
        place = f"{request.name}/{request.seed}/{index}"
        draft = make(knobs, Random(f"{place}/{knobs.model_dump_json()}"))
        if draft is None:
            refused += 1
            if refused > MOST_REFUSALS:
                raise TaskError(f"{PREFIX}{request.name} makes nothing with {_spelled(knobs)}: change these settings.")
            continue
        refused = 0
        yield Task(
            id=f"{place}/{suffix}" if settings else place,
            question=draft.question,
            inputs=draft.inputs,
            answer_type=draft.answer_type,
            gold=draft.gold,
            verifier=draft.verifier or request.name,
            metadata={
                "environment": request.name,
                "level": level,
                "knobs": knobs.model_dump(mode="json"),
                "instance": draft.instance,
                "difficulty": draft.difficulty,
                "chance": draft.chance,
            },
        )


def _knobs(request: Request, known: Generated) -> tuple[int, Knobs]:
    options = dict(request.options)
    said = options.pop("level", "1")
    if not said.isascii() or not said.isdigit() or not 1 <= int(said[:6]) <= len(known.levels):
        raise TaskError(f"In {PREFIX}{request.name}, level is {said!r}: there are levels 1 to {len(known.levels)}.")
    if request.item:
        if request.item not in known.kinds:
            raise UnknownName(f"kind of {request.name}", request.item, known.kinds)
        options["kind"] = request.item
    base = known.levels[int(said) - 1]
    try:
        return int(said), type(base).model_validate({**base.model_dump(), **options})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the settings"
        why = f"{where}: {first['msg']}"
        if first["type"] == "extra_forbidden":
            why = f"there is no setting {where!r}, but level, {', '.join(type(base).model_fields)}"
        raise TaskError(f"In {PREFIX}{request.name}, {why}.") from None


def _spelled(knobs: Knobs) -> str:
    return "&".join(f"{name}={value}" for name, value in knobs.model_dump(mode="json").items())
