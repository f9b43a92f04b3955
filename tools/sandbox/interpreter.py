"""One session's interpreter: its variables live from cell to cell, and it can go back to where it was.

A process can't be copied with all it holds, so going back means running the cells again, in a new worker, and saying
where they come out differently.
"""

import asyncio
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from maieutic.tools.sandbox.scratch import Written
from maieutic.tools.sandbox.tier import NO_BINDS, STATE_KEPT, Binds, Execution, Worker

if TYPE_CHECKING:
    from maieutic.tools.sandbox.pool import Pool

WORTH_PRELOADING = ("numpy", "sympy", "pandas", "scipy", "matplotlib.pyplot")

_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")  # differs from process to process


@dataclass(frozen=True, slots=True)
class Ran:
    """One cell's execution; `fresh` where the interpreter is a new one and an earlier one's state is lost; `files` are
    those the cell has written to the scratch folder."""

    execution: Execution
    fresh: bool
    files: tuple[Written, ...] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """How going back went: how many cells were run again, and the numbers (from 1) of those that printed something
    else or ended otherwise than the first time. `complete` is false where one lost the interpreter, which is now new.
    """

    cells: int
    differing: tuple[int, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class _Cell:
    code: str
    execution: Execution

    def is_like(self, other: Execution) -> bool:
        was, now = (_ADDRESS.sub("0x", e.output) for e in (self.execution, other))
        return was == now and self.execution.exit == other.exit


class Interpreter:
    """One session's interpreter; one cell runs at a time. `binds` are files for it to read."""

    def __init__(self, pool: "Pool", binds: Binds = NO_BINDS) -> None:
        self.binds = binds
        self._pool = pool
        self._lock = asyncio.Lock()
        self._worker: Worker | None = None
        self._lost = False
        self._cells: tuple[_Cell, ...] = ()  # those that led to the present state
        self._snapshots: dict[str, tuple[_Cell, ...]] = {}
        self._numbers = itertools.count(1)
        self._modules: frozenset[str] = frozenset()

    @property
    def has_worker(self) -> bool:
        return self._worker is not None and self._worker.alive

    async def run(self, code: str) -> Ran:
        """Run one cell. Raises WorkerFailed where no worker can be started; cancelling it loses the state."""
        async with self._lock, self._pool.running:
            self._modules |= {name for name in WORTH_PRELOADING if name in code}
            worker = await self._ready()
            self._pool.touch(self)
            fresh, self._lost = self._lost, False
            try:
                execution = await worker.run(code)
            except BaseException:
                self._lose()
                raise
            if execution.exit not in STATE_KEPT:
                self._lose()
                return Ran(execution, fresh)
            self._cells += (_Cell(code, execution),)
            return Ran(execution, fresh, _written(worker))

    def snapshot(self) -> str:
        """An id for the state as it is now, to be given to `restore`. Costs nothing until then."""
        name = f"snapshot-{next(self._numbers)}"
        self._snapshots[name] = self._cells
        return name

    async def restore(self, snapshot: str) -> Restored:
        """Go back to the state of a snapshot, by running its cells again in a new worker.

        Raises KeyError for an id that this interpreter hasn't given, WorkerFailed where no worker can be started.
        """
        cells = self._snapshots[snapshot]
        async with self._lock, self._pool.running:
            self._lose()
            self._lost = False
            if not cells:
                return Restored(0, ())
            self._worker = await self._pool.worker_for(self)
            try:
                restored = await self._replay(self._worker, cells)
            except BaseException:
                self._lose()
                raise
            if not restored.complete:
                self._lose()
            return restored

    def copy(self, name: str, to: BinaryIO, limit: int) -> int | None:
        """Copy a file that a cell has written; how many bytes, None where it is gone."""
        scratch = self._worker.scratch if self._worker is not None and self._worker.alive else None
        return scratch.copy(name, to, limit) if scratch is not None else None

    async def close(self) -> None:
        """End the session and its worker."""
        self._drop_worker()
        self._pool.release(self, self._modules)

    def put_aside(self) -> None:
        """Give the worker up while no cell runs; the next cell gets the state back, if it can be had again."""
        if self._lock.locked():
            return
        self._drop_worker()
        if not self._is_repeatable():
            self._cells, self._lost = (), True

    async def _ready(self) -> Worker:
        if self._worker is not None:
            if self._worker.alive:
                return self._worker
            self._lose()  # it died between two cells
        self._worker = await self._pool.worker_for(self)
        try:
            if not (await self._replay(self._worker, self._cells)).complete:
                self._lose()
                return await self._ready()
        except BaseException:
            self._lose()
            raise
        return self._worker

    async def _replay(self, worker: Worker, cells: tuple[_Cell, ...]) -> Restored:
        differing: list[int] = []
        for number, cell in enumerate(cells, 1):
            execution = await worker.run(cell.code)
            if not cell.is_like(execution):
                differing.append(number)
            if execution.exit not in STATE_KEPT:
                return Restored(number, tuple(differing), complete=False)
        _written(worker)  # seen the first time
        self._cells = cells
        return Restored(len(cells), tuple(differing))

    def _is_repeatable(self) -> bool:
        """Whether running the cells again is quick, and sure to stop where it stopped."""
        executions = [cell.execution for cell in self._cells]
        seconds = sum(execution.seconds for execution in executions)
        return seconds <= self._pool.limits.seconds and all(execution.exit != "timeout" for execution in executions)

    def _lose(self) -> None:
        self._drop_worker()
        self._cells, self._lost = (), True

    def _drop_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
        self._pool.release(self)


def _written(worker: Worker) -> tuple[Written, ...]:
    return tuple(worker.scratch.written()) if worker.scratch is not None and worker.alive else ()
