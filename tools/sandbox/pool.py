"""Interpreters for many sessions at once: one session, one worker, a spare one waiting, a bound on both.

A used worker is never handed to another session. Where more sessions are open than workers may live, the worker that
has idled longest is killed, and its session's cells are run again in a new one when it goes on; waiting for a free
worker instead would deadlock sessions that wait for each other.
"""

import asyncio
import os
from collections import deque
from collections.abc import Sequence

from maieutic.tools.sandbox.interpreter import WORTH_PRELOADING, Interpreter
from maieutic.tools.sandbox.tier import NO_BINDS, Binds, Limits, Tier, Worker, WorkerFailed, ensure_sandbox


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

    def interpreter(self, binds: Binds = NO_BINDS) -> Interpreter:
        """An interpreter for one session, with files to read; nothing is started before its first cell."""
        return Interpreter(self, binds)

    def warm(self) -> None:
        """Start a spare worker in the background, with numpy imported, so that the first session has it at once."""
        if self._spare is None:
            self._spare = asyncio.create_task(self._start_spare(self._preload() or WORTH_PRELOADING[:1]))

    async def worker_for(self, interpreter: Interpreter) -> Worker:
        """A worker that no session has used. Raises WorkerFailed."""
        self._make_room()
        self._open[interpreter] = None
        try:
            if interpreter.binds:
                return await self.tier.start(self.limits, (), interpreter.binds)
            return await self._take()
        except BaseException:
            self._open.pop(interpreter, None)
            raise

    def touch(self, interpreter: Interpreter) -> None:
        """Say that an interpreter with a worker is in use, so that others are put aside first."""
        self._open[interpreter] = self._open.pop(interpreter)

    def release(self, interpreter: Interpreter, modules: frozenset[str] | None = None) -> None:
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
        for wanted in (preload, ()):  # a package may be missing
            try:
                return await self.tier.start(self.limits, wanted)
            except WorkerFailed:
                continue
        return None  # the session that needs it will hear why

    def _preload(self) -> list[str]:
        """What at least half of the last sessions imported: a spare has the time, a session does not."""
        return [n for n in WORTH_PRELOADING if self._used and 2 * sum(n in u for u in self._used) >= len(self._used)]


_pools: dict[tuple[asyncio.AbstractEventLoop, str | None], Pool] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)


async def current_pool(sandbox: str | None = None) -> Pool:
    """The running event loop's pool over the tier in force, or over the one named. Raises NoSandbox or UnknownTier."""
    loop = asyncio.get_running_loop()
    for closed in [key for key in _pools if key[0].is_closed()]:
        _pools.pop(closed).close()
    if (loop, sandbox) not in _pools:
        tier = await ensure_sandbox(sandbox)
        _pools.setdefault((loop, sandbox), Pool(tier))
    return _pools[loop, sandbox]
