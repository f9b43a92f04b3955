"""Other databases, such as MySQL, through SQLAlchemy and whichever of its drivers is installed.

Nothing of ours stands behind the account here: a query is looked at by sqlglot and run in a transaction that is rolled
back, and whatever the account may do beyond reading, a query may find a way to do. Use an account that may only read.
"""

import asyncio
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeVar

from maieutic.errors import MissingExtra, UserError
from maieutic.tools.sql.bounds import Bounds
from maieutic.tools.sql.database import Database
from maieutic.tools.sql.driver import as_json
from maieutic.tools.sql.engine import Ask, QueryFailed, Table, table_of
from maieutic.tools.sql.schema import Column, Schema, TableInfo

MOST_TABLES = 2_000
_DIALECTS = {"mssql": "tsql", "mariadb": "mysql", "postgresql": "postgres"}
_READ_ONLY = {"mysql": "SET TRANSACTION READ ONLY", "mariadb": "SET TRANSACTION READ ONLY"}

T = TypeVar("T")


class Other:
    """A database that SQLAlchemy reaches. Made by `open_other`."""

    tier: str | None = None

    def __init__(self, database: Database, bounds: Bounds, engine: Any) -> None:
        self.name: str = engine.dialect.name
        self.dialect: str = known_dialect(_DIALECTS.get(self.name, self.name))
        self._database, self._bounds, self._engine = database, bounds, engine
        self._running = asyncio.Semaphore(bounds.running)

    async def query(self, query: str, ask: Ask) -> Table:
        check_reads_only(query, self.dialect)
        return await self._in_thread(lambda: self._run(query, ask))

    async def schema(self) -> Schema:
        return await self._in_thread(self._reflect)

    async def close(self) -> None:
        await asyncio.to_thread(self._engine.dispose)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        from sqlalchemy.exc import SQLAlchemyError

        async with self._running:
            try:
                async with asyncio.timeout(self._bounds.seconds):
                    return await asyncio.to_thread(work)
            except TimeoutError as error:
                raise QueryFailed("timeout", "The query took too long; nobody waits for it any more.") from error
            except SQLAlchemyError as error:
                said = str(getattr(error, "orig", None) or error)
                raise QueryFailed("failed", self._database.redact(said)) from None

    def _run(self, query: str, ask: Ask) -> Table:
        with self._engine.connect() as connection:
            if self.name in _READ_ONLY:
                connection.exec_driver_sql(_READ_ONLY[self.name])
            result = connection.exec_driver_sql(query)
            try:
                rows = result.fetchmany(ask.rows + 1)
                columns = [[name, None] for name in result.keys()]
            finally:
                result.close()
                connection.rollback()
        cells = [[as_json(value, ask.cell) for value in row] for row in rows[: ask.rows]]
        return table_of({"columns": columns, "rows": cells, "cut": len(rows) > ask.rows})

    def _reflect(self) -> Schema:
        from sqlalchemy import inspect

        with self._engine.connect() as connection:
            about = inspect(connection)
            names = [(name, "table") for name in about.get_table_names()]
            names += [(name, "view") for name in about.get_view_names()]
            tables = [_table(about, name, kind) for name, kind in names[:MOST_TABLES]]
            connection.rollback()
        return Schema(tuple(tables), len(names) <= MOST_TABLES)


def _table(about: Any, name: str, kind: str) -> TableInfo:
    primary = set(about.get_pk_constraint(name).get("constrained_columns") or ()) if kind == "table" else set()
    refers = {
        own: f"{key['referred_table']}.{other}"
        for key in (about.get_foreign_keys(name) if kind == "table" else ())
        for own, other in zip(key["constrained_columns"], key["referred_columns"], strict=True)
    }
    columns = tuple(
        Column(
            column["name"],
            str(column["type"]),
            bool(column.get("nullable", True)),
            column["name"] in primary,
            refers.get(column["name"]),
            column.get("comment"),
        )
        for column in about.get_columns(name)
    )
    return TableInfo(name, columns, kind)


def known_dialect(name: str) -> str:
    """The name where sqlglot knows such a dialect, else that of no dialect in particular."""
    from sqlglot.dialects.dialect import Dialects

    return name if name in {dialect.value for dialect in Dialects} else ""


def check_reads_only(query: str, dialect: str) -> None:
    """One query and nothing that writes, as far as sqlglot can tell. Raises QueryFailed."""
    import sqlglot
    from sqlglot import expressions as exp
    from sqlglot.errors import SqlglotError

    try:
        statements = [one for one in sqlglot.parse(query, read=dialect) if one is not None]
    except SqlglotError as error:
        raise QueryFailed("failed", f"syntax error: {' '.join(str(error).split())[:200]}") from error
    if len(statements) != 1:
        raise QueryFailed("several" if statements else "empty", f"There are {len(statements)} statements.")
    writing = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Into, exp.Lock, exp.Command)
    reads = isinstance(statements[0], exp.Query) and not any(isinstance(node, writing) for node in statements[0].walk())
    if not reads:
        raise QueryFailed("refused", "This is not a query that only reads.")


async def open_other(database: Database, bounds: Bounds) -> Other:
    """The database, connected to once. Raises UserError, which never shows the password."""
    if find_spec("sqlalchemy") is None or find_spec("sqlglot") is None:
        raise MissingExtra(f"The database {database.label}", "sql")
    from sqlalchemy import create_engine
    from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

    def opened() -> Any:
        engine = create_engine(database.url, pool_pre_ping=True, hide_parameters=True)
        with engine.connect():
            return engine

    try:
        return Other(database, bounds, await asyncio.to_thread(opened))
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise UserError(f"The database {database.label} needs a driver for SQLAlchemy: {error}.") from None
    except (SQLAlchemyError, ValueError) as error:
        said = database.redact(" ".join(str(getattr(error, "orig", None) or error).split()))
        raise UserError(f"The database {database.label} can't be opened: {said.rstrip('.')}.") from None
