"""Ctrl-C and SIGTERM for programs that collect: the first asks for a clean stop."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def stop_on_signals() -> AsyncIterator[asyncio.Event]:
    """An event for `collect(stop=...)`, set by the first SIGINT or SIGTERM during the block.

    A second one does what it did before. For the main thread of a program; a library leaves signals alone.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)

    def ask() -> None:
        stop.set()
        restore()

    for number in before:
        loop.add_signal_handler(number, ask)
    try:
        yield stop
    finally:
        if not stop.is_set():
            restore()
