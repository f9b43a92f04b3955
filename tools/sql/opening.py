"""Opening databases: one engine for each, shared by all who use it at the same time and closed after the last."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from maieutic.errors import UserError
from maieutic.tools.sandbox.tier import NoSandbox, ensure_sandbox
from maieutic.tools.sql.bounds import Bounds
from maieutic.tools.sql.database import Database
from maieutic.tools.sql.engine import Engine
from maieutic.tools.sql.schema import Schema

_Key = tuple[asyncio.AbstractEventLoop, object, Bounds, str | None]


@dataclass
class Opened:
    """An engine in use, with its schema once that has been read."""

    engine: Engine
    key: _Key
    users: int = 0
    known: Schema | None = None

    def __post_init__(self) -> None:
        self._reading = asyncio.Lock()

    async def schema(self) -> Schema:
        """The schema, read once. Raises QueryFailed."""
        async with self._reading:
            if self.known is None:
                self.known = await self.engine.schema()
            return self.known


_opened: dict[_Key, Opened] = {}
_opening: dict[_Key, asyncio.Lock] = {}


async def take(database: Database, bounds: Bounds, sandbox: str | None) -> Opened:
    """The open database, to be given back with `release`. Raises UserError where it can't be opened."""
    key = (asyncio.get_running_loop(), database.key, bounds, sandbox)
    for gone in [one for one in (*_opened, *_opening) if one[0].is_closed()]:
        _opened.pop(gone, None)
        _opening.pop(gone, None)
    async with _opening.setdefault(key, asyncio.Lock()):
        if key not in _opened:
            _opened[key] = Opened(await _open(database, bounds, sandbox), key)
        _opened[key].users += 1
        return _opened[key]


async def release(opened: Opened) -> None:
    """Say that one user is done with it."""
    opened.users -= 1
    if opened.users == 0:
        _opened.pop(opened.key, None)
        await opened.engine.close()


@asynccontextmanager
async def using(database: Database, bounds: Bounds, sandbox: str | None = None) -> AsyncIterator[Opened]:
    """The open database for a block."""
    opened = await take(database, bounds, sandbox)
    try:
        yield opened
    finally:
        await release(opened)


async def _open(database: Database, bounds: Bounds, sandbox: str | None) -> Engine:
    if database.kind == "postgresql":
        from maieutic.tools.sql.postgres import open_postgres

        return await open_postgres(database, bounds)
    if database.kind == "url":
        from maieutic.tools.sql.other import open_other

        return await open_other(database, bounds)
    from maieutic.tools.sql.embedded import open_embedded

    try:
        tier = await ensure_sandbox(sandbox)
    except NoSandbox as error:
        raise UserError(str(error).replace("The python tool needs", "A database file needs", 1)) from error
    return await open_embedded(database, tier, bounds)
