"""What is evaluated: contenders (a graph with its settings, tools and sampling), models and task sets, crossed."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from maieutic.errors import UserError
from maieutic.graphs.registry import load_graph
from maieutic.terminal.settings import parse_settings
from maieutic.types import Sampling

_SAMPLING = ("temperature", "top_p", "max_tokens")


@dataclass(frozen=True, slots=True)
class Contender:
    """A way of answering: a graph with its settings, its tools, and how it is sampled."""

    label: str
    graph: str
    settings: dict[str, Any] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    sampling: Sampling = Sampling()


@dataclass(frozen=True, slots=True)
class Cell:
    """One contender with one model on one task set."""

    tasks: str
    model: str
    contender: Contender

    @property
    def folder(self) -> str:
        """A folder's name that says what it is, and that no two cells share."""
        told = "-".join(_plain(part) for part in (self.tasks, self.model, self.contender.label))
        digest = hashlib.blake2b("\0".join((self.tasks, self.model, repr(self.contender))).encode(), digest_size=3)
        return f"{told[:80]}-{digest.hexdigest()}"


def parse_contender(text: str) -> Contender:
    """The contender that "[LABEL=]GRAPH[?key=value&…]" spells.

    `tools` (joined by +) and temperature, top_p and max_tokens are its own, all other keys are the graph's settings.
    Raises UserError for what can't be read, UnknownName and ConfigError for what the graph doesn't have.
    """
    head, _, query = text.partition("?")
    label, equals, graph = head.partition("=")
    values = parse_settings(unquote(pair) for pair in query.split("&") if pair)
    tools = tuple(part for part in str(values.pop("tools", "")).split("+") if part)
    wanted = {name: values.pop(name) for name in _SAMPLING if name in values}
    if not all(isinstance(value, int | float) for value in wanted.values()):
        raise UserError(f"In {text!r}, temperature, top_p and max_tokens must be numbers.")
    contender = Contender(label if equals else text, graph if equals else label, values, tools, Sampling(**wanted))
    load_graph(contender.graph, contender.settings)
    return contender


def cross(tasks: Iterable[str], models: Iterable[str], contenders: Iterable[Contender]) -> list[Cell]:
    """Every cell, task set by task set. Raises UserError where two contenders have one label."""
    contenders = list(contenders)
    labels = [contender.label for contender in contenders]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"Two contenders are called {label!r}: name them apart, as in NAME=GRAPH?key=value.")
    return [Cell(source, model, contender) for source in tasks for model in models for contender in contenders]


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "_", text.removeprefix("env:")).strip("_")
