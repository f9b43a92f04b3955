"""A curriculum: which level of an environment comes next, decided by how the last one went.

After SATURN (Liu et al. 2025, arXiv 2505.16368), which trains on one difficulty until the accuracy on fresh questions
of it passes a threshold, then goes on to the next. Deviations: the measure may be taken above chance, since a share
of easy items is right by guessing; and a level is only left on a full batch of answers, never on a lucky first few.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from maieutic.tasks.environment import PREFIX
from maieutic.tasks.generated import about
from maieutic.tasks.guessing import above_chance


@dataclass(slots=True)
class Curriculum:
    """The levels of `environment` from `level` on; `threshold` is the accuracy at which the next one begins.

    `patience` batches below the threshold end it (`stuck`), so that no loop over it is without an end.
    """

    environment: str
    threshold: float = 0.75
    level: int = 1
    batch: int = 100
    patience: int = 20
    history: list[dict[str, Any]] = field(default_factory=list)
    finished: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1 or self.batch < 1 or self.patience < 1 or not 1 <= self.level <= self.top:
            raise ValueError(f"a threshold in (0, 1], a batch and a patience from 1, and a level in 1..{self.top}")

    @property
    def top(self) -> int:
        """The highest level. Raises ValueError for an environment without levels, UnknownName where there is none."""
        known = about(self.environment)
        if known is None:
            raise ValueError(f"the environment {self.environment!r} has no levels")
        return len(known.levels)

    @property
    def stuck(self) -> bool:
        """Whether the last `patience` batches were all of this level and below the threshold."""
        last = self.history[-self.patience :]
        return len(last) == self.patience and all(
            entry["level"] == self.level and not entry["passed"] for entry in last
        )

    def source(self, *, split: str = "train") -> str:
        """The tasks to be worked on next, as `load_tasks` reads them: never the same ones twice."""
        seed = len(self.history)
        return f"{PREFIX}{self.environment}?level={self.level}&n={self.batch}&seed={seed}&split={split}"

    def report(self, scores: Sequence[float | None], *, chance: float = 0.0) -> bool:
        """Take in how a batch went, each task's score, None for one that could not be scored, which counts as not
        solved. Returns whether the threshold was passed.

        `chance` is what guessing gets there. Raises ValueError for fewer scores than the batch has tasks.
        """
        if len(scores) < self.batch:
            raise ValueError(f"{len(scores)} scores are no batch of {self.batch}")
        accuracy = sum(score is not None and score >= 1 - 1e-9 for score in scores) / len(scores)
        measured = above_chance(accuracy, chance)
        passed = measured >= self.threshold
        self.history.append({"level": self.level, "accuracy": accuracy, "above_chance": measured, "passed": passed})
        if passed and self.level == self.top:
            self.finished = True
        elif passed:
            self.level += 1
        return passed
