"""Environments: generators of tasks, asked for as "env:NAME?n=100&seed=7&split=test&field=value".

An environment is one function in one file:

    @environment("coins")
    def coins(request: Request) -> Iterator[Task]: ...

It yields tasks for as long as it is asked; `take` keeps the distinct ones of the wanted split. The part of the name
before the first "/" chooses the environment, the rest is handed to it as `request.item`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import get_args
from urllib.parse import unquote

from maieutic.errors import TaskError, UnknownName
from maieutic.tasks.split import Split, split_of
from maieutic.tasks.task import Task

PREFIX = "env:"
DEFAULT_N = 100
_PATIENCE = 50


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked of an environment. `options` are the query fields that the environment itself understands."""

    name: str
    item: str = ""
    n: int = DEFAULT_N
    seed: int = 0
    split: Split | None = None
    options: dict[str, str] = field(default_factory=dict)


Generator = Callable[[Request], Iterator[Task]]
_registry: dict[str, Generator] = {}


def environment(name: str) -> Callable[[Generator], Generator]:
    """Register the decorated function, which yields tasks for a Request, as the environment `name`."""

    def register(generator: Generator) -> Generator:
        _registry[name] = generator
        return generator

    return register


def parse_request(source: str) -> Request:
    """The request that "env:NAME?…" spells. Raises TaskError for a field that can't be read."""
    name, _, query = source.removeprefix(PREFIX).partition("?")
    fields: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        key, equals, value = pair.partition("=")
        key = unquote(key)
        if not equals or not key:
            raise TaskError(f"In {source!r}, {pair!r} is not field=value.")
        if key in fields:
            raise TaskError(f"In {source!r}, {key!r} is given twice.")
        fields[key] = unquote(value)
    name, _, item = unquote(name).partition("/")
    split = fields.pop("split", None)
    if split is not None and split not in get_args(Split):
        raise TaskError(f"In {source!r}, split is {split!r}: use train, dev or test.")
    return Request(
        name,
        item,
        _whole(source, "n", fields.pop("n", str(DEFAULT_N)), 1),
        _whole(source, "seed", fields.pop("seed", "0"), 0),
        next((known for known in get_args(Split) if known == split), None),
        fields,
    )


def generate(request: Request) -> list[Task]:
    """`request.n` distinct tasks. Raises UnknownName, or TaskError where there are not that many."""
    return take(request, load_environment(request.name)(request))


def load_environment(name: str) -> Generator:
    """The environment of this name, its file imported where it has one. Raises UnknownName."""
    file = f"maieutic.tasks.envs.{name}"
    if name not in _registry and name.isidentifier() and find_spec(file):
        import_module(file)
    if name not in _registry:
        raise UnknownName("environment", name, environment_names())
    return _registry[name]


def environment_names() -> list[str]:
    """The names of all environments, those that are shipped (one file each in `tasks/envs`) and registered ones."""
    for module in iter_modules(import_module("maieutic.tasks.envs").__path__):
        import_module(f"maieutic.tasks.envs.{module.name}")
    return sorted(_registry)


def take(request: Request, tasks: Iterator[Task]) -> list[Task]:
    """The first `request.n` of `tasks` that are in the wanted split and ask different questions.

    Gives up, with a TaskError that says how many there are, once the next new question is long overdue.
    """
    draws_per_hit = {"dev": 16, "test": 16, "train": 2, None: 1}[request.split]
    found: dict[str, Task] = {}
    misses = 0
    for task in tasks:
        question = " ".join(task.question.split())
        if question in found or (request.split and split_of(question) != request.split):
            misses += 1
            if misses > draws_per_hit * (_PATIENCE + 10 * len(found)):
                break
            continue
        misses = 0
        found[question] = task
        if len(found) == request.n:
            return list(found.values())
    where = f" in split {request.split!r}" if request.split else ""
    raise TaskError(
        f"{PREFIX}{request.name}{'/' if request.item else ''}{request.item} with these settings has only {len(found)} "
        f"distinct questions{where}: ask for fewer than n={request.n}, or widen its settings."
    )


def _whole(source: str, name: str, text: str, least: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 12 or int(text) < least:
        raise TaskError(f"In {source!r}, {name} is {text!r}: it must be a whole number from {least}.")
    return int(text)
