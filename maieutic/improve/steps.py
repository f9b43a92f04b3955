"""Steps that are done once: each leaves a mark, written whole, with what it came to; a later start reads the mark."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from maieutic.errors import TraceError
from maieutic.serving.files import write_whole

OnStep = Callable[[str], None]
T = TypeVar("T")


class Stopped(Exception):
    """The loop ends before its end, for a reason in one sentence; it can be gone on with."""


@dataclass(frozen=True, slots=True)
class Steps:
    """`out` is where a loop's marks lie; `stop` is set when it is to end; `on_step` is told of each step begun."""

    out: Path
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    on_step: OnStep | None = None

    async def once(self, mark: Path, what: str, work: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """What `work` comes to, done now or read from the mark. Raises Stopped, TraceError for a damaged mark."""
        if (before := self.read(mark)) is not None:
            return before
        self.go_on(None)
        if self.on_step is not None:
            self.on_step(what)
        product = await work()
        write_whole(mark, json.dumps(product, indent=1) + "\n")
        return product

    async def unless_stopped(self, work: Awaitable[T]) -> T:
        """What `work` comes to; it is cancelled where the loop is to end before. Raises Stopped then."""
        task, stop = asyncio.ensure_future(work), asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self.go_on(None)
            return await task
        finally:
            for one in (task, stop):
                one.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)

    def read(self, mark: Path) -> dict[str, Any] | None:
        """What a step came to, None where it isn't done."""
        try:
            product: dict[str, Any] = json.loads(mark.read_text(encoding="utf-8"))
            return product
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise TraceError(f"{mark} is damaged ({error}): remove it to do this step again.") from error

    def go_on(self, stopped: str | None) -> None:
        """Raises Stopped where a part of a step ended early, or the loop is to end."""
        if self.stop.is_set():
            raise Stopped("Interrupted; start the same command again to go on.")
        if stopped is not None:
            raise Stopped(stopped)
