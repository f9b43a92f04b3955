"""Ctrl-C in this very process."""

import asyncio
import os
import signal

from maieutic.terminal.interrupt import on_interrupt


async def test_the_first_press_asks_and_later_ones_do_not() -> None:
    pressed: list[str] = []
    asked = asyncio.Event()
    before = signal.getsignal(signal.SIGINT)
    with on_interrupt(asked.set, lambda: pressed.append("again")):
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.wait_for(asked.wait(), 60)
        assert pressed == []
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0)
    assert pressed == ["again", "again"]
    assert signal.getsignal(signal.SIGINT) is before
