"""The pace: how many runs may be under way at once."""

from collections.abc import Callable


class Pace:
    """A limit on what is under way, shared by every pool that is given the same one."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.under_way = 0
        self._listeners: list[Callable[[], None]] = []

    def room(self) -> bool:
        return self.under_way < self.limit

    def begin(self) -> None:
        self.under_way += 1

    def end(self) -> None:
        self.under_way -= 1
        self._tell()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` called whenever there may be room; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
