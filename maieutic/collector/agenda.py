"""The agenda: which attempts are still to be made, and which of them may begin now."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Set

from maieutic.collector.groups import Group, GroupStop
from maieutic.collector.rows import GroupRow, Key, ResultRow
from maieutic.tasks.task import Task

Attempt = tuple[Task, int]  # a task and the number of the sample


class Agenda:
    """Attempts in the order of their tasks; samples of a task are neighbours, so that a server can share their prompt.

    Where groups may end early, an attempt begins only once those before it have shown that it is needed. `left_out`
    counts those that were not.
    """

    def __init__(
        self, tasks: Sequence[Task], samples: int, stop: GroupStop, done: Set[Key], earlier: Iterable[ResultRow] = ()
    ) -> None:
        """`done` are the keys of earlier results; those themselves are needed where groups may end early."""
        self._samples = samples
        self._stop = stop
        self._done = done
        self._before: dict[str, list[ResultRow]] = {}
        for row in earlier:
            self._before.setdefault(row.task, []).append(row)
        self._tasks = iter(tasks)
        self._open: dict[str, Group] = {}
        self._ready: deque[Group] = deque()
        self._closed: list[GroupRow] = []
        self._plain = self._keys() if not stop else iter(())
        self.left_out = 0

    def next(self) -> Attempt | None:
        """The next attempt; None where there is none, or none before one that is under way has ended."""
        if not self._stop:
            return next(self._plain, None)
        while self._ready or self._begin_group():
            group = self._ready[0]
            if group.room:
                group.under_way += 1
                return group.task, group.todo.pop(0)
            self._ready.popleft()
        return None

    def ended(self, task: str, row: ResultRow | None) -> None:
        """An attempt has ended, with a result or (None) without one."""
        group = self._open.get(task)
        if group is None:
            return
        group.under_way -= 1
        if row is not None:
            group.take_in(row)
        if group not in self._ready and group.room:
            self._ready.appendleft(group)
        self._close_if_over(group)

    def closed(self) -> list[GroupRow]:
        """The groups that ended early since it was asked last."""
        rows, self._closed = self._closed, []
        return rows

    def _keys(self) -> Iterator[Attempt]:
        for task in self._tasks:
            for sample in range(self._samples):
                if (task.id, sample) not in self._done:
                    yield task, sample

    def _begin_group(self) -> bool:
        """Open the next task's group, unless it is over; False where there is no task left."""
        for task in self._tasks:
            todo = [sample for sample in range(self._samples) if (task.id, sample) not in self._done]
            group = Group(task, todo, self._stop)
            for row in self._before.pop(task.id, ()):
                group.take_in(row)
            self._open[task.id] = group
            self._close_if_over(group)
            if group.room:
                self._ready.append(group)
                return True
        return False

    def _close_if_over(self, group: Group) -> None:
        if group.under_way or group.room:
            return
        del self._open[group.task.id]
        if group.why and group.todo:
            self.left_out += len(group.todo)
            self._closed.append(GroupRow(group.task.id, group.done, group.correct, len(group.todo), group.why))
