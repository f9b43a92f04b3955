"""The `Recipe` noun: which parts of which runs become training material, and the formats rows are written in.

A recipe turns runs into episodes, a format turns episodes into rows; any recipe goes with any format. Own ones are
functions:

    @recipe("short")
    def short(runs: Iterable[Candidate], tally: Tally) -> Iterator[Episode]: ...
"""

import importlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from maieutic.errors import UnknownName, UserError
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import CallRecord, RunRecord, RunSummary


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that a recipe may take. It is read from disk only by `load`."""

    summary: RunSummary
    reader: TraceReader

    def load(self) -> RunRecord:
        return self.reader.run(self.summary.run_id)


@dataclass(frozen=True, slots=True)
class Episode:
    """The calls of one run that are to be learnt from, in the order they were made."""

    run: RunRecord
    calls: tuple[CallRecord, ...]


@dataclass(slots=True)
class Tally:
    """What became of the runs. Every run a recipe sees is either kept or dropped for a reason in plain words.

    `counts` holds a format's own figures (tokens, prefix breaks, …), `weights` the calls learnt from, by the version of
    the weights that made them.
    """

    seen: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    weights: Counter[str] = field(default_factory=Counter)


Row = dict[str, Any]
Recipe = Callable[[Iterable[Candidate], Tally], Iterator[Episode]]
Format = Callable[[Iterable[Episode], Tally], Iterator[Row]]
F = TypeVar("F")

_recipes: dict[str, Recipe] = {}
_formats: dict[str, Format] = {}
_SHIPPED = ("maieutic.recipes.solved", "maieutic.recipes.trl")


def recipe(name: str) -> Callable[[Recipe], Recipe]:
    """Register the decorated function as the recipe `name`."""

    def register(function: Recipe) -> Recipe:
        _recipes[name] = function
        return function

    return register


def row_format(name: str) -> Callable[[Format], Format]:
    """Register the decorated function as the format `name`."""

    def register(function: Format) -> Format:
        _formats[name] = function
        return function

    return register


def find_recipe(name: str) -> Recipe:
    """The recipe of this name, or at `package.module:name`; UnknownName where there is none."""
    return _find("recipe", name, _recipes)


def find_format(name: str) -> Format:
    """The format of this name, or at `package.module:name`; UnknownName where there is none."""
    return _find("format", name, _formats)


def _find(kind: str, name: str, registered: dict[str, F]) -> F:
    for module in _SHIPPED:
        importlib.import_module(module)
    if name in registered:
        return registered[name]
    module_name, _, attribute = name.partition(":")
    if not attribute:
        raise UnknownName(kind, name, registered)
    try:
        return getattr(importlib.import_module(module_name), attribute)  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as error:
        raise UserError(f"The {kind} {name} can't be imported: {error}.") from error
