"""Ctrl-C while a run is under way: the first press asks it to end, the second one doesn't ask."""

import asyncio
import itertools
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_interrupt(first: Callable[[], object], again: Callable[[], object]) -> Iterator[None]:
    """Within the block, the first SIGINT calls `first` on the running event loop, every later one `again` at once.

    `again` is called from the signal handler itself, so that it works even where the loop is stuck.
    """
    loop = asyncio.get_running_loop()
    presses = itertools.count()

    def handle(number: int, frame: FrameType | None) -> None:
        if next(presses) == 0:
            loop.call_soon_threadsafe(first)
        else:
            again()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
