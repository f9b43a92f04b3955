"""A run under way: its events, its result to come, and the way to stop it."""

import asyncio
from dataclasses import dataclass

from maieutic.events import EventStream
from maieutic.runner.result import Result


@dataclass
class Control:
    """Lets `stop` reach the graph's own task, and remembers why."""

    reason: str | None = None
    work: "asyncio.Task[None] | None" = None

    def stop(self, reason: str) -> None:
        self.reason = self.reason or reason
        if self.work is not None:
            self.work.cancel()


@dataclass
class Running:
    """A run under way. Await `result()`; iterate `events` beside it; `stop()` ends it with its best answer so far."""

    run_id: str
    events: EventStream
    _task: "asyncio.Task[Result]"
    _control: "Control"

    def stop(self, reason: str = "interrupted") -> None:
        """End the run now: calls under way are cancelled, and the result is the best answer so far, marked partial."""
        self._control.stop(reason)

    async def result(self) -> Result:
        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            self._task.cancel()
            await asyncio.wait({self._task})
            if not self._task.cancelled():
                self._task.exception()  # of a run that nobody waits for any more; asyncio would print it
            raise
