"""SQLite, DuckDB and files of tables: engines that run in workers of the sandbox, with the files bound for reading.

Workers keep nothing between queries, so a few of them serve all branches of all runs; one that doesn't stop in time is
killed and replaced. Each query sees what had been committed when it began: a copy that has become old is made again.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from maieutic.errors import MissingExtra, UserError
from maieutic.tools.sandbox.tier import Binds, Limits, Tier, Worker, WorkerFailed
from maieutic.tools.sql.bounds import Bounds
from maieutic.tools.sql.database import Database
from maieutic.tools.sql.engine import Ask, QueryFailed, Table, table_of
from maieutic.tools.sql.schema import Schema, schema_of
from maieutic.tools.sql.staging import Staged, changed, stage

MOST_TABLES = 2_000
SAMPLED_TABLES = 200
_EXITS = {"memory": "memory", "killed": "timeout", "timeout": "timeout", "protocol": "died", "died": "died"}
_DUCKDB = ("duckdb", "_duckdb")


class Embedded:
    """An open SQLite or DuckDB database, or files as one. Made by `open_embedded`."""

    def __init__(self, database: Database, staged: Staged, tier: Tier, bounds: Bounds) -> None:
        self.name = staged.engine
        self.dialect = staged.engine
        self.tier: str | None = tier.name
        self._database, self._tier, self._bounds = database, tier, bounds
        self._staged = staged
        self._users: Counter[int] = Counter()
        self._idle: list[tuple[Worker, Staged]] = []
        self._running = asyncio.Semaphore(bounds.running)
        self._staging = asyncio.Lock()
        self._closed = False

    async def query(self, query: str, ask: Ask) -> Table:
        request = {"query": query, "rows": ask.rows, "cell": ask.cell, "size": ask.size}
        table: Table = await self._ask("query", request, table_of)
        return table

    async def schema(self) -> Schema:
        request = {"tables": MOST_TABLES + 1, "sampled": SAMPLED_TABLES}
        schema: Schema = await self._ask("schema", request, lambda reply: schema_of(reply, MOST_TABLES + 1))
        return schema

    async def close(self) -> None:
        self._closed = True
        for worker, _ in self._idle:
            worker.kill()
        self._idle.clear()
        await asyncio.to_thread(self._staged.close)

    async def _ask(self, what: str, request: dict[str, Any], read: Callable[[Any], Any]) -> Any:
        async with self._running, self._fresh() as staged:
            async with self._worker(staged) as worker:
                execution = await worker.run(
                    f"print(__driver.answer({what!r}, { ({**request, 'seconds': self._bounds.seconds})!r}))"
                )
        if execution.exit != "ok":
            raise QueryFailed(_EXITS.get(execution.exit, "died"), _exit_sentence(execution.exit))  # type: ignore[arg-type]
        try:
            reply, result = await asyncio.to_thread(_read, execution.output, read)
            if "error" not in reply:
                return result
            kind, message, name = str(reply["error"]), str(reply["message"]), str(reply.get("name", ""))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise QueryFailed("died", "The database's process answered with something else than a result.") from error
        raise _failure(kind, message, name)

    @asynccontextmanager
    async def _fresh(self) -> AsyncIterator[Staged]:
        """The database as it is now, staged again where that has become another. What nobody uses any more goes."""
        async with self._staging:
            if await asyncio.to_thread(changed, self._staged):
                old, self._staged = self._staged, await self._stage_again()
                if not self._users[id(old)]:
                    await asyncio.to_thread(old.close)
            staged = self._staged
            self._users[id(staged)] += 1
        try:
            yield staged
        finally:
            self._users[id(staged)] -= 1
            if not self._users[id(staged)] and staged is not self._staged:
                staged.close()

    async def _stage_again(self) -> Staged:
        try:
            return await asyncio.to_thread(stage, self._database)
        except UserError as error:  # the run is under way: the model hears it
            raise QueryFailed("unopened", str(error)) from error

    @asynccontextmanager
    async def _worker(self, staged: Staged) -> AsyncIterator[Worker]:
        worker = self._take(staged) or await self._start(staged)
        try:
            yield worker
        except BaseException:
            worker.kill()
            raise
        if worker.alive and not self._closed:
            self._idle.append((worker, staged))
        else:
            worker.kill()

    def _take(self, staged: Staged) -> Worker | None:
        while self._idle:
            worker, of = self._idle.pop()
            if of is staged and worker.alive:
                return worker
            worker.kill()
        return None

    async def _start(self, staged: Staged) -> Worker:
        bounds = self._bounds
        space = (bounds.memory * 4 if staged.engine == "duckdb" else bounds.memory) + (512 << 20)
        limits = Limits(
            seconds=bounds.seconds + bounds.grace / 2,
            grace=bounds.grace / 2,
            memory=space,
            file=64 << 20,
            output=64 << 20,
            cpu_seconds=86_400,
        )
        binds = {**staged.binds, **(_duckdb_package() if staged.engine == "duckdb" else {})}
        worker = await self._tier.start(limits, ("sqlite3",) if staged.engine == "sqlite" else (), binds)
        config = {
            "engine": staged.engine,
            "path": staged.path,
            "files": list(staged.files),
            "memory": bounds.memory,
            "threads": 2,
        }
        started = await worker.run(f"{_program()}\n__driver = Driver({config!r})\n")
        if started.exit != "ok":
            worker.kill()
            said = started.output.strip().splitlines()[-1:] or [started.exit]
            raise WorkerFailed(f"The database's process could not be started: {said[0]}.")
        return worker


async def open_embedded(database: Database, tier: Tier, bounds: Bounds) -> Embedded:
    """Open it. Raises UserError where it can't be read, or not in this sandbox."""
    if tier.name == "monty":
        raise UserError(
            "The sandbox monty can't hold a database: install bubblewrap with `apt-get install bubblewrap`."
        )
    staged = await asyncio.to_thread(stage, database)
    try:
        if staged.engine == "duckdb":
            _duckdb_package()
            if tier.name == "landlock":
                raise UserError(
                    "DuckDB does not run in the sandbox landlock: install bubblewrap with `apt-get install bubblewrap`."
                )
        return Embedded(database, staged, tier, bounds)
    except BaseException:
        staged.close()
        raise


@cache
def _program() -> str:
    """What makes the driver's modules known in a worker, which has no package to import them from."""
    lines = ["import sys as __sys"]
    for module in ("driver", "driver_sqlite", "driver_duckdb"):
        name = f"maieutic.tools.sql.{module}"
        source = Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
        lines.append(f"__sys.modules[{name!r}] = __module = type(__sys)({name!r})")
        lines.append(f"exec(compile({source!r}, {name!r}, 'exec'), __module.__dict__)")
    return "\n".join([*lines, "from maieutic.tools.sql.driver import Driver"])


def _read(output: str, read: Callable[[Any], Any]) -> tuple[Any, Any]:
    """The last line of what a worker printed, and what `read` makes of it."""
    reply = json.loads(output.strip().rpartition("\n")[2])
    return reply, None if "error" in reply else read(reply)


def _failure(kind: str, message: str, name: str) -> QueryFailed:
    lower = message.lower()
    stopped = lower == "query interrupted"  # DuckDB, when the worker's own timer was first
    if stopped or name in ("SQLITE_INTERRUPT", "InterruptException", "TimeLimit"):
        return QueryFailed("timeout", "The query took too long and was stopped.", name)
    if name in ("SQLITE_NOMEM", "OutOfMemoryException", "SQLITE_TOOBIG") or "out of memory" in lower:
        return QueryFailed("memory", message or "out of memory", name)
    if name in ("SQLITE_AUTH", "SQLITE_READONLY", "PermissionException") or "read-only mode" in lower:
        return QueryFailed("refused", message, name)
    known = ("failed", "refused", "several", "empty", "timeout", "memory", "unopened")
    return QueryFailed(kind if kind in known else "failed", message, name)  # type: ignore[arg-type]


def _exit_sentence(exit_: str) -> str:
    return {
        "killed": "The query did not stop in time, and its process was killed.",
        "timeout": "The query took too long and was stopped.",
        "memory": "The query needed more memory than it may have.",
    }.get(exit_, "The query ended its process.")


def _duckdb_package() -> Binds:
    """Where DuckDB's own files go in the sandbox. Raises MissingExtra."""
    if find_spec("duckdb") is None:
        raise MissingExtra("A DuckDB database, or a file of tables,", "sql")
    distribution = metadata.distribution("duckdb")
    tops = {file.parts[0] for file in distribution.files or ()}
    wanted = [top for top in tops if top.split(".")[0].partition("-")[0] in _DUCKDB]  # its metadata too
    return {f"/packages/{top}": Path(str(distribution.locate_file(top))) for top in wanted}
