"""Following a run to its end, shown as the terminal at hand can show it."""

import asyncio
import sys
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Protocol

from maieutic.terminal.plain import PlainView

if TYPE_CHECKING:
    from maieutic.events import Event
    from maieutic.runner import Result, Running


class View(Protocol):
    """Something that shows a run's events."""

    def handle(self, event: "Event") -> None: ...

    def close(self) -> None:
        """Leave the terminal as it was found."""
        ...

    def aside(self) -> AbstractContextManager[None]:
        """Within the block the terminal is somebody else's; then the view goes on."""
        ...

    def showed(self, text: str) -> bool:
        """Whether `text` is the last thing that was shown in full."""
        ...


def view_for_stderr() -> View:
    """A live view where stderr is a terminal, plain lines otherwise."""
    if not sys.stderr.isatty():
        return PlainView(lambda line: print(line, file=sys.stderr, flush=True))
    from rich.console import Console

    from maieutic.terminal.live import LiveView

    return LiveView(Console(stderr=True))


async def follow(running: "Running", view: View | None) -> "Result":
    """The run's result, its events shown on the way. Raises what the run raises; cancelling it ends the run."""
    if view is None:
        return await running.result()
    try:
        async for event in running.events.subscribe():
            view.handle(event)
    except asyncio.CancelledError:
        running.stop("cancelled")
        with suppress(Exception):
            await running.result()
        raise
    finally:
        view.close()
    return await running.result()
