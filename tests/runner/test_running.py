"""A run under way, from the side of whoever waits for it."""

import asyncio
import gc
from typing import Any

import pytest

from maieutic.errors import TraceError
from maieutic.events import EventStream
from maieutic.runner.result import Result
from maieutic.runner.running import Control, Running


async def test_what_a_run_raises_after_nobody_waits_any_more_is_not_printed() -> None:
    """Such as of a full disk: it has ended the collection already, and would be told for every run under way."""
    said: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))

    async def fails() -> Result:
        try:
            await asyncio.Event().wait()
        finally:
            raise TraceError("The disk is full.")

    waiting = asyncio.create_task(Running("r", EventStream(), asyncio.create_task(fails()), Control()).result())
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    del waiting
    gc.collect()
    assert said == []
