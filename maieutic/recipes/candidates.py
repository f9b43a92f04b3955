"""The `Candidates` noun: the runs of some traces, as they were begun or task by task.

Runs of a task lie side by side only by chance, and those of one question may be in several collections. The index of
the traces knows where they are, so that a recipe that compares runs holds those of one task, however many there are.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from maieutic.recipes.recipe import Candidate
from maieutic.trace.reader import TraceReader

Sift = Callable[[Iterable[Candidate]], Iterator[Candidate]]


class Candidates:
    """Iterating gives all runs in the order they were begun, one reader's after the other's. They can be gone through
    again; nothing is held in memory but what is asked for."""

    def __init__(self, readers: Sequence[TraceReader], sift: Sift = iter) -> None:
        """`sift` leaves out runs; it is given them in the order that was asked for."""
        self._readers = readers
        self._sift = sift

    def __iter__(self) -> Iterator[Candidate]:
        return self._sift(Candidate(summary, reader) for reader in self._readers for summary in reader.runs())

    def by_task(self) -> Iterator[Candidate]:
        """All runs, those of one task side by side, tasks in the order in which their first runs were begun."""
        return self._sift(candidate for task in self._tasks() for candidate in self.of(task))

    def of(self, task: str) -> Iterator[Candidate]:
        """The runs of one task, in the order they were begun; nothing is left out."""
        for reader in self._readers:
            for summary in reader.runs(task_key=task):
                yield Candidate(summary, reader)

    def _tasks(self) -> Iterator[str]:
        for number, reader in enumerate(self._readers):
            earlier = self._readers[:number]
            for task in reader.tasks():
                if not any(True for other in earlier for _ in other.runs(task_key=task)):
                    yield task
