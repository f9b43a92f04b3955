"""A run under way, from the side of whoever waits for it."""

import asyncio
import gc
from typing import Any

from maieutic.errors import TraceError
from maieutic.events import EventStream
from maieutic.runner.result import Result
from maieutic.runner.running import Control, Running


async def cancelled_while_it_fails() -> None:
    async def fails() -> Result:
        try:
            await asyncio.Event().wait()
        finally:
            raise TraceError("The disk is full.")

    waiting = asyncio.create_task(Running("r", EventStream(), asyncio.create_task(fails()), Control()).result())
    await asyncio.sleep(0.01)
    waiting.cancel()
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError)


async def test_what_a_run_raises_after_nobody_waits_any_more_is_not_printed() -> None:
    """Such as of a full disk: it has ended the collection already, and would be told for every run under way."""
    said: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    await cancelled_while_it_fails()
    await asyncio.sleep(0.01)  # until the loop itself has let go of it
    gc.collect()
    assert said == []
