"""Interpreters for many sessions at once: one session, one worker, a spare one waiting, a bound on both.

A used worker is never handed to another session. Where more sessions are open than workers may live, the worker that
has idled longest is killed, and its session's cells are run again in a new one when it goes on; waiting for a free
worker instead would deadlock sessions that wait for each other.
"""

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.tools.sandbox.tier import STATE_KEPT, Execution, Limits, Tier, Worker, WorkerFailed, ensure_sandbox

_WORTH_PRELOADING = ("numpy", "sympy")


@dataclass(frozen=True, slots=True)
class Ran:
    """One cell's execution; `fresh` where the interpreter is a new one and an earlier one's state is lost."""

    execution: Execution
    fresh: bool


class Pool:
    """Workers of one event loop. `live` bounds how many exist in sessions, `running` how many work at a time."""

    def __init__(self, tier: Tier, limits: Limits | None = None, live: int = 64, running: int | None = None) -> None:
        self.tier = tier
        self.limits = limits or Limits()
        self.running = asyncio.Semaphore(running or 2 * (os.cpu_count() or 1))
        self._live = live
        self._open: dict[Interpreter, None] = {}  # those with a worker, longest idle first
        self._spare: asyncio.Task[Worker | None] | None = None
        self._used: deque[frozenset[str]] = deque(maxlen=8)  # modules that the last sessions imported

    def interpreter(self) -> "Interpreter":
        """An interpreter for one session; nothing is started before its first cell."""
        return Interpreter(self)

    async def worker_for(self, interpreter: "Interpreter") -> Worker:
        """A worker that no session has used. Raises WorkerFailed."""
        self._make_room()
        self._open[interpreter] = None
        try:
            return await self._take()
        except BaseException:
            self._open.pop(interpreter, None)
            raise

    def touch(self, interpreter: "Interpreter") -> None:
        """Say that an interpreter with a worker is in use, so that others are put aside first."""
        self._open[interpreter] = self._open.pop(interpreter)

    def release(self, interpreter: "Interpreter", modules: frozenset[str] | None = None) -> None:
        """Say that its worker is gone, and, at the session's end, which modules its cells named."""
        self._open.pop(interpreter, None)
        if modules is not None:
            self._used.append(modules)

    def close(self) -> None:
        """Kill the spare worker; may be called when the event loop is closed already."""
        spare, self._spare = self._spare, None
        if spare is not None and spare.done() and not spare.cancelled():
            worker = spare.result()
            if worker is not None:
                worker.kill()

    def _make_room(self) -> None:
        for idle in list(self._open):
            if len(self._open) < self._live:
                return
            idle.put_aside()

    async def _take(self) -> Worker:
        spare, self._spare = self._spare, None
        worker = await spare if spare is not None else None
        if worker is None or not worker.alive:
            worker = await self.tier.start(self.limits)
        self._spare = asyncio.create_task(self._start_spare(self._preload()))
        return worker

    async def _start_spare(self, preload: Sequence[str]) -> Worker | None:
        try:
            return await self.tier.start(self.limits, preload)
        except WorkerFailed:
            return None  # the session that needs it will hear why

    def _preload(self) -> list[str]:
        """What at least half of the last sessions imported: a spare has the time, a session does not."""
        return [n for n in _WORTH_PRELOADING if self._used and 2 * sum(n in u for u in self._used) >= len(self._used)]


class Interpreter:
    """One session's interpreter: variables live from cell to cell, and one cell runs at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._lock = asyncio.Lock()
        self._worker: Worker | None = None
        self._lost = False
        self._cells: list[str] | None = []  # None once they would not lead to the same state again
        self._seconds = 0.0
        self._modules: frozenset[str] = frozenset()

    @property
    def has_worker(self) -> bool:
        return self._worker is not None and self._worker.alive

    async def run(self, code: str) -> Ran:
        """Run one cell. Raises WorkerFailed where no worker can be started; cancelling it loses the state."""
        async with self._lock, self._pool.running:
            self._modules |= {name for name in _WORTH_PRELOADING if name in code}
            worker = await self._ready()
            self._pool.touch(self)
            fresh, self._lost = self._lost, False
            try:
                execution = await worker.run(code)
            except BaseException:
                self._lose()
                raise
            if execution.exit in STATE_KEPT:
                self._remember(code, execution)
            else:
                self._lose()
            return Ran(execution, fresh)

    async def close(self) -> None:
        """End the session and its worker."""
        self._drop_worker()
        self._pool.release(self, self._modules)

    def put_aside(self) -> None:
        """Give the worker up while no cell runs; the next cell gets the state back, if it can be had again."""
        if self._lock.locked():
            return
        self._drop_worker()
        if self._cells is None:
            self._lost = True

    async def _ready(self) -> Worker:
        if self._worker is not None:
            if self._worker.alive:
                return self._worker
            self._lose()  # it died between two cells
        self._worker = await self._pool.worker_for(self)
        try:
            for code in self._cells or ():
                if (await self._worker.run(code)).exit not in STATE_KEPT:
                    self._lose()
                    return await self._ready()
        except BaseException:
            self._lose()
            raise
        return self._worker

    def _remember(self, code: str, execution: Execution) -> None:
        self._seconds += execution.seconds
        if execution.exit == "timeout" or self._seconds > self._pool.limits.seconds:
            self._cells = None
        if self._cells is not None:
            self._cells.append(code)

    def _lose(self) -> None:
        self._drop_worker()
        self._cells, self._seconds, self._lost = [], 0.0, True

    def _drop_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
        self._pool.release(self)


_pools: dict[asyncio.AbstractEventLoop, Pool] = {}
os.register_at_fork(after_in_child=_pools.clear)


async def current_pool() -> Pool:
    """The running event loop's pool over the tier in force. Raises NoSandbox."""
    loop = asyncio.get_running_loop()
    for closed in [other for other in _pools if other.is_closed()]:
        _pools.pop(closed).close()
    if loop not in _pools:
        tier = await ensure_sandbox()
        _pools.setdefault(loop, Pool(tier))
    return _pools[loop]
