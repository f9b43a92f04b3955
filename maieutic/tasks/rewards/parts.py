"""Named parts of a reward: each scores one side of a reply, each is logged, and a configuration adds them up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from maieutic.errors import ConfigError, UnknownName
from maieutic.types import Outcome


@dataclass(frozen=True, slots=True)
class Scored:
    """What rewards read of a reply: its text, its length in tokens, how it fared, and what its run recorded.

    `group` are the replies to the same prompt by the same policy, this one among them; empty where there is no group.
    `facts` holds what only some parts need, by name: tool results, patches, ranks, the gold query.
    """

    text: str
    tokens: int
    outcome: Outcome | None
    group: tuple["Scored", ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        return self.outcome is Outcome.CORRECT

    @property
    def parsed(self) -> bool:
        return self.outcome not in (None, Outcome.UNPARSED, Outcome.FORMAT_ERROR)


Part = Callable[..., float | None]
"""(scored, *, settings…) -> a number, or None where the part can't be told: missing is not zero."""

_parts: dict[str, Part] = {}


def part(name: str) -> Callable[[Part], Part]:
    """Register the decorated function as the reward part `name`."""

    def register(function: Part) -> Part:
        _parts[name] = function
        return function

    return register


@dataclass(frozen=True, slots=True)
class Reward:
    """Parts with their weights and settings. `total` of a reply is None where every part is."""

    weights: Mapping[str, float]
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.weights:
            find_part(name)
        if extra := set(self.settings) - set(self.weights):
            raise ConfigError(f"The reward has settings for {sorted(extra)[0]!r}, which is not among its parts.")

    def parts(self, scored: Scored) -> dict[str, float | None]:
        """Each part's own number, before its weight."""
        return {name: find_part(name)(scored, **self.settings.get(name, {})) for name in self.weights}

    def total(self, parts: Mapping[str, float | None]) -> float | None:
        known = [self.weights[name] * value for name, value in parts.items() if value is not None]
        return sum(known) if known else None


def find_part(name: str) -> Part:
    """The part of this name. Raises UnknownName."""
    from maieutic.tasks.rewards import answer, length, preference, retrieval, sql, steps, tools  # noqa: F401

    if name not in _parts:
        raise UnknownName("reward part", name, _parts)
    return _parts[name]


def part_names() -> list[str]:
    find_part("answer")
    return sorted(_parts)
