"""The pool: bounded admission. What is slow holds up nobody, and nothing waits in memory that isn't under way."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from maieutic.collector.agenda import Agenda, Attempt
from maieutic.collector.pace import Pace


class Pool:
    """Does the attempts of an agenda, as many at once as the pace allows."""

    def __init__(self, agenda: Agenda, pace: Pace, work: Callable[[Attempt], Awaitable[None]]) -> None:
        self._agenda = agenda
        self._pace = pace
        self._work = work
        self._running: dict[asyncio.Task[None], float] = {}  # since when, the oldest first
        self._failure: BaseException | None = None
        self._wake = asyncio.Event()

    @property
    def under_way(self) -> int:
        return len(self._running)

    @property
    def oldest(self) -> float:
        """Seconds for which the attempt begun first has been under way; 0 where there is none."""
        return time.monotonic() - next(iter(self._running.values())) if self._running else 0.0

    async def run(self, stop: asyncio.Event) -> bool:
        """Until all is done; False where `stop` was set first. What is still under way then is cancelled, as it is when
        an attempt raises, which is raised from here."""
        deaf = self._pace.listen(self._wake.set)
        halt = asyncio.create_task(stop.wait())
        halt.add_done_callback(lambda _: self._wake.set())
        try:
            while not halt.done():
                if self._admit() and not self._running:
                    return True
                await self._wake.wait()
                self._wake.clear()
                if self._failure is not None:
                    raise self._failure
            return False
        finally:
            deaf()
            left = [halt, *self._running]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def _admit(self) -> bool:
        """Begin what there is room for; True where the agenda has no more at present."""
        while self._pace.room():
            if (attempt := self._agenda.next()) is None:
                return True
            self._pace.begin()
            task = asyncio.ensure_future(self._work(attempt))
            self._running[task] = time.monotonic()
            task.add_done_callback(self._ended)
        return False

    def _ended(self, task: "asyncio.Task[None]") -> None:
        del self._running[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error
        self._wake.set()
        self._pace.end()
