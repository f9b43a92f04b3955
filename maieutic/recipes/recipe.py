"""The `Recipe` noun: which parts of which runs become training material, and the formats rows are written in.

A recipe turns runs into items, a format turns items into rows; a format leaves out, and counts, the items that it has
no rows for. Own ones are functions, whose keyword arguments are settings:

    @recipe("short")
    def short(runs: Iterable[Candidate], tally: Tally, *, most: int = 200) -> Iterator[Item]: ...
"""

import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from maieutic.errors import ConfigError, UnknownName, UserError
from maieutic.recipes.items import Item
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord, RunSummary


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that a recipe may take. It is read from disk only by `load`."""

    summary: RunSummary
    reader: TraceReader

    def load(self) -> RunRecord:
        return self.reader.run(self.summary.run_id)


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

    def left_out(self) -> list[str]:
        """What was left out of runs that were kept, in words: pairs that the format has no rows for, and so on."""
        found = [(name, number) for name, number in self.counts.items() if name.endswith("_left_out")]
        return [f"{number} {name.replace('_', ' ')}" for name, number in found]


@dataclass(frozen=True, slots=True)
class About:
    """What is said of a recipe: what it makes of which runs, whether it asks a teacher, and the paper it is from."""

    line: str
    needs: str
    gives: str
    asks: bool
    paper: str | None
    shipped: bool


Row = dict[str, Any]
Recipe = Callable[..., Iterator[Item]]
Format = Callable[..., Iterator[Row]]
F = TypeVar("F")

_PAPER = re.compile(r"arXiv\s+\d{4}\.\d{5}")
_KINDS = {
    "Episode": "calls",
    "Dialogue": "dialogues",
    "Pair": "pairs",
    "Judged": "judged replies",
    "Prompt": "prompts",
    "Spans": "labelled spans",
}

_recipes: dict[str, Recipe] = {}
_abouts: dict[str, About] = {}
_formats: dict[str, Format] = {}


def recipe(
    name: str, *, needs: str = "runs", gives: str | None = None, asks: bool = False
) -> Callable[[Recipe], Recipe]:
    """Register the decorated function as the recipe `name`.

    `needs` says in a few words which runs it takes, `gives` what it makes of them (by default the item that it is
    annotated to yield), `asks` whether it asks a teacher. The rest is read from the module's docstring.
    """

    def register(function: Recipe) -> Recipe:
        _recipes[name] = function
        _abouts[name] = _about(name, function, needs, gives, asks)
        return function

    return register


def row_format(name: str) -> Callable[[Format], Format]:
    """Register the decorated function as the format `name`."""

    def register(function: Format) -> Format:
        _formats[name] = function
        return function

    return register


def describe_recipes() -> dict[str, About]:
    """All recipes by name, those that are shipped and those that were registered."""
    return {name: _abouts[name] for name in recipe_names()}


def find_recipe(name: str, settings: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe of this name, or at `package.module:name`, with its settings. Shipped ones are found by their files.

    UnknownName where there is none; ConfigError for a setting that it does not have or that has a wrong value.
    """
    return _with(name, _find("recipe", name, _recipes, "maieutic.recipes"), settings or {})


def asks(name: str) -> bool:
    """Whether the recipe of this name, or at this path, asks a teacher. Raises as `find_recipe` does."""
    function = _find("recipe", name, _recipes, "maieutic.recipes")
    return any(_abouts[known].asks for known, one in _recipes.items() if one is function)


def find_format(name: str) -> Format:
    """The format of this name, or at `package.module:name`; UnknownName where there is none."""
    return _find("format", name, _formats, "maieutic.recipes.formats")


def recipe_names() -> list[str]:
    """The names of all recipes, those that are shipped and those that were registered."""
    return _names(_recipes, "maieutic.recipes")


def format_names() -> list[str]:
    return _names(_formats, "maieutic.recipes.formats")


def _about(name: str, function: Recipe, needs: str, gives: str | None, asks: bool) -> About:
    """The first paragraph of the module's docstring, without its source, is the line."""
    told = sys.modules[function.__module__].__doc__ or ""
    first = " ".join(told.split("\n\n")[0].split()).removeprefix(f"`{name}`: ")
    line = re.sub(r"\s*\([^()]*\b(?:arXiv [\d.]+|et al\. \d{4})\)", "", first)
    paper = _PAPER.search(told)
    kind = str(inspect.get_annotations(function).get("return", "")).split(".")[-1].strip("]")
    made = gives or _KINDS.get(kind, "")
    shipped = function.__module__ == f"maieutic.recipes.{name}"
    return About(line, needs, made, asks, " ".join(paper[0].split()) if paper else None, shipped)


def _names(registered: dict[str, Any], package: str) -> list[str]:
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
    return sorted(registered)


def _find(kind: str, name: str, registered: dict[str, F], package: str) -> F:
    file = f"{package}.{name.replace('-', '_')}"
    if name not in registered and name.replace("-", "_").isidentifier() and importlib.util.find_spec(file):
        importlib.import_module(file)
    if name in registered:
        return registered[name]
    module_name, _, attribute = name.partition(":")
    if not attribute:
        raise UnknownName(kind, name, _names(registered, package))
    try:
        return getattr(importlib.import_module(module_name), attribute)  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as error:
        raise UserError(f"The {kind} {name} can't be imported: {error}.") from error


def _with(name: str, function: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """The recipe with its settings in place, read as their annotations say."""
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    known = {p.name: p.annotation for p in parameters if p.kind is p.KEYWORD_ONLY}
    values = {}
    for key, value in settings.items():
        if key not in known:
            raise ConfigError(f"The recipe {name} has no setting {key!r}. Its settings: {', '.join(known) or 'none'}.")
        try:
            values[key] = TypeAdapter(known[key]).validate_python(value)
        except ValidationError as error:
            raise ConfigError(f"The recipe {name}, setting {key!r}: {error.errors()[0]['msg']}.") from None
    return partial(function, **values) if values else function
