"""Branches side by side inside one node: failures are tolerated, and an early stop cancels what became needless."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from maieutic.context import Context
from maieutic.errors import BudgetExceeded, TraceError, UserError

T = TypeVar("T")


async def fan_out(
    ctx: Context,
    names: list[str],
    work: Callable[[Context], Awaitable[T]],
    enough: Callable[[list[T]], bool] = lambda done: False,
) -> list[T]:
    """Run `work` once per name, each in a branch of its own, and return what succeeded, in the order of `names`.

    After each success `enough(done)` may end the rest: their calls are cancelled and their connections closed. Branches
    that finish at the same moment are looked at together: asked one by one, many of them would hold up the next calls.
    A failed branch is recorded and its siblings go on; if every branch failed, the first failure is raised.
    """
    tasks = [asyncio.create_task(_branch(ctx, name, work)) for name in names]
    ended: list[asyncio.Task[T]] = []
    more = asyncio.Event()

    def note(task: "asyncio.Task[T]") -> None:
        ended.append(task)
        more.set()

    for task in tasks:
        task.add_done_callback(note)
    failures: list[Exception] = []
    done: list[T] = []
    seen = 0
    try:
        while seen < len(tasks):
            await more.wait()
            more.clear()
            for task in ended[seen:]:
                try:
                    task.result()
                except (UserError, TraceError):
                    raise
                except Exception as error:  # an own agent may raise anything
                    failures.append(error)
            seen = len(ended)
            done = [task.result() for task in tasks if _succeeded(task)]
            if done and enough(done):
                break
    finally:
        await _cancel(tasks)
    if failures:
        ctx.record("note", text=f"{len(failures)} of {len(names)} branches failed", error=str(failures[0]))
    if any(isinstance(f, BudgetExceeded) for f in failures):
        ctx.mark_partial(str(failures[0]))
    if not done and failures:
        raise failures[0]
    return done


async def _branch(ctx: Context, name: str, work: Callable[[Context], Awaitable[T]]) -> T:
    async with ctx.fork(name) as branch:
        try:
            return await work(branch)
        except Exception as error:
            branch.record("error", error=f"{type(error).__name__}: {error}")
            branch.emit("branch_failed", error=str(error) or type(error).__name__)
            raise


def _succeeded(task: "asyncio.Task[T]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


async def _cancel(tasks: "list[asyncio.Task[T]]") -> None:
    others = [task for task in tasks if not _succeeded(task)]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
