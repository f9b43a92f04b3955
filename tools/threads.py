"""Functions that block, run beside the event loop: each in a thread of its own, which no program has to wait for."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


async def in_thread(work: Callable[[], Any]) -> Any:
    """What `work` returns or raises. Cancelled, the caller goes on at once, while the thread comes to its own end.

    The thread is a daemon, not one of asyncio's few: a function that never returns holds up neither the others nor the
    end of the program.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def tell(value: Any, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(value)
        else:
            answer.set_exception(_raisable(error))

    def run() -> None:
        value, error = None, None
        try:
            value = work()
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, value, error)

    threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True, name="maieutic-tool").start()
    return await answer


def _raisable(error: BaseException) -> BaseException:
    """What may be raised in a coroutine: StopIteration may not, and KeyboardInterrupt would end the loop."""
    if isinstance(error, StopIteration | KeyboardInterrupt | GeneratorExit):
        return RuntimeError(f"{type(error).__name__} {error}".strip())
    return error
