"""What guessing gets: the share of an environment's tasks that no thought is needed for.

Half of SATURN's easiest formulas are satisfied by a random assignment, so that an accuracy of 0.5 shows nothing there.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verifier_for
from maieutic.types import Outcome


@dataclass(frozen=True, slots=True)
class Guessing:
    """`random` is the mean chance of a random well-formed answer, None where a task has none. `constant` is the share
    of tasks for which the most frequent gold answer is right: what saying always the same gets."""

    n: int
    random: float | None
    constant: float

    @property
    def best(self) -> float:
        """What the better of the two gets."""
        return max(self.constant, self.random or 0.0)


def guessing(tasks: Sequence[Task]) -> Guessing:
    """How far guessing gets with tasks that have gold answers. Raises ValueError where there are none."""
    if not tasks:
        raise ValueError("there are no tasks")
    chances = [task.metadata.get("chance") for task in tasks]
    known = [chance for chance in chances if isinstance(chance, int | float)]
    always = Counter(answer_text(task) for task in tasks).most_common(1)[0][0]
    right = sum(verifier_for(task).judge(task, always).outcome is Outcome.CORRECT for task in tasks)
    return Guessing(len(tasks), sum(known) / len(known) if len(known) == len(tasks) else None, right / len(tasks))


def answer_text(task: Task) -> str:
    """The gold answer as an answer is written."""
    return task.gold if isinstance(task.gold, str) else json.dumps(task.gold, ensure_ascii=False)


def above_chance(accuracy: float, chance: float) -> float:
    """An accuracy on the scale where guessing is 0 and all right is 1; below 0 for what is worse than guessing."""
    if not 0 <= chance < 1:
        raise ValueError(f"a chance of {chance} leaves nothing to be shown: it must be in [0, 1)")
    return (accuracy - chance) / (1 - chance)
