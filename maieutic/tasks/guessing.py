"""What guessing gets: the share of tasks that no thought is needed for, and how far an accuracy lies above it.

Half of SATURN's easiest formulas are satisfied by a random assignment, so that an accuracy of 0.5 shows nothing there.
"""

import json
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from maieutic.stats import Interval, wilson
from maieutic.tasks.answers import canonical
from maieutic.tasks.task import Task, options
from maieutic.tasks.verifier import verifier_for
from maieutic.types import Outcome

WORTH_SAYING, SURELY = 0.05, 0.10
_RUN = ("code", "sql")  # verifiers that run what is said, at up to a second each; hardly any program fits two questions


@dataclass(frozen=True, slots=True)
class Guessing:
    """`random` is the mean chance of a random well-formed answer, None where a task has none. `constant` is the share
    of tasks for which the most frequent gold answer is right: what saying always the same gets; None where a task has
    none, or its answer is a program. `n` is how many tasks were looked at."""

    n: int
    random: float | None
    constant: float | None

    @property
    def best(self) -> float | None:
        """What the better of the two gets; None where neither is known."""
        return max((share for share in (self.random, self.constant) if share is not None), default=None)

    @property
    def matters(self) -> bool:
        """Whether an accuracy misleads without it: a random answer is right for 5 % or more, or a constant one for
        10 %, surely (the lower end of its 95 % interval): of a dozen questions with many answers, three alike are luck.
        """
        if self.random is not None and self.random >= WORTH_SAYING:
            return True
        right = round((self.constant or 0) * self.n)
        return right > 1 and wilson(right, self.n).low >= SURELY

    def in_words(self) -> str:
        """As "random 50.0 %" or "constant 62.5 %", whichever is better."""
        if self.best is None:
            return "unknown"
        return f"{'random' if self.best == self.random else 'constant'} {100 * self.best:.1f} %"


def guessing(tasks: Sequence[Task]) -> Guessing:
    """How far guessing gets with these tasks. Raises ValueError where there are none, UserError where an answer can't
    be checked."""
    if not tasks:
        raise ValueError("there are no tasks")
    chances = [chance for task in tasks if (chance := chance_of(task)) is not None]
    random = sum(chances) / len(chances) if len(chances) == len(tasks) else None
    return Guessing(len(tasks), random, _constant(tasks))


def chance_of(task: Task) -> float | None:
    """The probability that a well-formed answer drawn at random is right: what the environment says; else by the answer
    type, where that is known: a half for yes or no, one in so many choices. None where it isn't."""
    if "chance" in task.metadata:
        said = task.metadata["chance"]
        return said if isinstance(said, int | float) else None
    if task.verifier not in (None, task.answer_type):
        return None
    if task.answer_type == "boolean":
        return 0.5
    among = options(task.inputs)
    return 1 / len(among) if task.answer_type == "choice" and among else None


def answer_text(task: Task) -> str:
    """The gold answer as an answer is written."""
    return task.gold if isinstance(task.gold, str) else json.dumps(task.gold, ensure_ascii=False)


def above_chance(accuracy: float, chance: float) -> float:
    """An accuracy on the scale where guessing is 0 and all right is 1; below 0 for what is worse than guessing."""
    if not 0 <= chance < 1:
        raise ValueError(f"a chance of {chance} leaves nothing to be shown: it must be in [0, 1)")
    return (accuracy - chance) / (1 - chance)


def skill(accuracy: Interval | None, found: Guessing | None) -> Interval | None:
    """An accuracy above chance with its interval, whose ends are put on the same scale: what guessing gets is taken as
    a given. None where either is unknown, or where guessing is always right."""
    chance = None if found is None else found.best
    if accuracy is None or chance is None or chance >= 1:
        return None
    estimate, low, high = (above_chance(share, chance) for share in (accuracy.estimate, accuracy.low, accuracy.high))
    return Interval(estimate, low, high, accuracy.n)


def _constant(tasks: Sequence[Task]) -> float | None:
    if any(task.gold is None or task.verifier in _RUN for task in tasks):
        return None
    texts: dict[Hashable, str] = {}
    counts: Counter[Hashable] = Counter()
    for task in tasks:
        text = answer_text(task)
        same = canonical(text, task.answer_type)
        key = text if same is None else same
        texts.setdefault(key, text)
        counts[key] += 1
    always = texts[counts.most_common(1)[0][0]]
    return sum(verifier_for(task).judge(task, always).outcome is Outcome.CORRECT for task in tasks) / len(tasks)
