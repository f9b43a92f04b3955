"""Rewards for length: brevity where the answer is right, room to explore where it isn't."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, floor, pi

from maieutic.llm.loops import LoopDetector
from maieutic.tasks.rewards.parts import Scored, part


@part("laser")
def laser(scored: Scored, *, limit: int = 2048, bonus: float = 0.5, thinking: bool = False) -> float | None:
    """LASER (Liu et al. 2025): 1 right, -0.5 wrong, -1 unreadable; a right answer within `limit` tokens gets `bonus`
    more.

    With `thinking`, a reply without a closed thought gets -1 even where its answer is right.
    """
    base = _base(scored, thinking)
    if base is None or not scored.right or base < 0:
        return base
    return base + bonus * (scored.tokens <= limit)


@part("laser_d")
def laser_d(scored: Scored, *, limits: Mapping[str, int], bonus: float = 0.5, thinking: bool = False) -> float | None:
    """LASER-D: the same, with the limit of the prompt's own difficulty: `limits` has high, medium and low."""
    return laser(scored, limit=limits[bucket(scored.group)], bonus=bonus, thinking=thinking)


@part("laser_de")
def laser_de(scored: Scored, *, limits: Mapping[str, int], bonus: float = 0.5, thinking: bool = False) -> float | None:
    """LASER-DE: a wrong answer that is LONGER than the limit and doesn't loop gets the bonus, too: it has explored."""
    value = laser_d(scored, limits=limits, bonus=bonus, thinking=thinking)
    explored = value == -0.5 and scored.tokens > limits[bucket(scored.group)] and not loops(scored.text)
    return value + bonus if value is not None and explored else value


def bucket(group: Sequence[Scored]) -> str:
    """How hard a prompt is for the policy that has answered it: "high" accuracy from 2/3, "medium" from 1/3, else
    "low"."""
    right = sum(one.right for one in group) / len(group) if group else 0.0
    return "high" if right >= 2 / 3 else "medium" if right >= 1 / 3 else "low"


@dataclass(frozen=True, slots=True)
class BudgetController:
    """LASER-D's limits, from the lengths of right answers to a set of prompts that is watched: for each difficulty the
    smallest length that covers so many of them. `needed` is n in floor(coverage * n) >= 1."""

    lower: int = 1024
    upper: int = 16384
    step: int = 1024
    needed: Mapping[str, int] | None = None

    def limits(self, lengths: Mapping[str, Sequence[int]]) -> dict[str, int]:
        """The limit of each difficulty, in tokens, from the lengths of its right answers; `upper` where none covers."""
        needed = self.needed or {"high": 5, "medium": 2, "low": 1}
        return {name: self._limit(lengths.get(name, ()), n) for name, n in needed.items()}

    def _limit(self, lengths: Sequence[int], n: int) -> int:
        for limit in range(self.lower, self.upper + 1, self.step):
            covered = sum(length <= limit for length in lengths) / len(lengths) if lengths else 0.0
            if floor(covered * n + 1e-9) >= 1:
                return limit
        return self.upper


@part("cosine_length")
def cosine_length(
    scored: Scored,
    *,
    most: int = 8192,
    right: tuple[float, float] = (1.0, 0.5),
    wrong: tuple[float, float] = (-1.0, -0.5),
    over: float = -1.0,
) -> float | None:
    """Falls with length from right[0] to right[1] where the answer is right, rises from wrong[0] to wrong[1] where it
    is wrong, along half a cosine; `over` from `most` tokens on (Yeo et al. 2025, arXiv 2502.03373;
    Phi-4-reasoning)."""
    if scored.outcome is None:
        return None
    if scored.tokens >= most:
        return over
    begin, end = right if scored.right else wrong
    return end + 0.5 * (begin - end) * (1 + cos(pi * scored.tokens / most))


@part("group_length")
def group_length(scored: Scored) -> float | None:
    """Long-Short's length term within a group, in characters: 0.5 for the shortest, -0.5 for the longest; a wrong
    answer gets no more than 0. 0 where all are as long; None without a group."""
    lengths = [len(one.text) for one in scored.group]
    if not lengths:
        return None
    if min(lengths) == max(lengths):
        return 0.0
    share = 0.5 - (len(scored.text) - min(lengths)) / (max(lengths) - min(lengths))
    return share if scored.right else min(0.0, share)


def loops(text: str) -> bool:
    """Whether a text does nothing but repeat itself, by the detector that watches streams."""
    return LoopDetector().feed(text)


def _base(scored: Scored, thinking: bool) -> float | None:
    if scored.outcome is None:
        return None
    if not scored.parsed or (thinking and "</think>" not in scored.text):
        return -1.0
    return 1.0 if scored.right else -0.5
