"""What guessing gets at the questions of a cell, worked out once for all contenders that were asked the same ones."""

from collections.abc import Iterable
from random import Random

from maieutic.errors import UserError
from maieutic.evals.items import Attempt
from maieutic.tasks.guessing import Guessing, guessing
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task

MOST_JUDGED = 500
"""Questions of a set for which a constant answer is checked; of more, so many are drawn."""


class Chances:
    """Guessing by task set and questions; every set is loaded once."""

    def __init__(self) -> None:
        self._tasks: dict[str, dict[str, Task]] = {}
        self._known: dict[tuple[str, frozenset[str]], Guessing | None] = {}

    def tasks(self, source: str) -> dict[str, Task]:
        """The tasks of a set by their ids. Raises UserError as `load_tasks` does."""
        if source not in self._tasks:
            self._tasks[source] = {task.id: task for task in load_tasks(source).tasks}
        return self._tasks[source]

    def of(self, source: str, attempts: Iterable[Attempt]) -> Guessing | None:
        """What guessing gets at the questions that count in the accuracy of these attempts; None where that can't be
        told: nothing was scored, a question is not in the set any more, a check needs what isn't here."""
        asked = frozenset(attempt.task for attempt in attempts if attempt.outcome is not None)
        if (source, asked) not in self._known:
            self._known[source, asked] = self._worked_out(source, asked)
        return self._known[source, asked]

    def _worked_out(self, source: str, asked: frozenset[str]) -> Guessing | None:
        try:
            tasks = [task for name, task in self.tasks(source).items() if name in asked]
            return guessing(_some(tasks)) if asked and len(tasks) == len(asked) else None
        except UserError:
            return None


def _some(tasks: list[Task]) -> list[Task]:
    """By lot, since files may well go yes, no, yes, no; the same ones every time."""
    return tasks if len(tasks) <= MOST_JUDGED else Random(0).sample(tasks, MOST_JUDGED)
