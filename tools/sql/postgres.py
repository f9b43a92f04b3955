"""PostgreSQL: each query in a connection and a read-only transaction of its own, by a role that may only read.

The role is what holds, and one that may do more is refused: a read-only transaction alone does not keep a superuser
from the server's files and programs. A query is sent as a prepared statement, which can't be more than one statement,
and run as a cursor, which can't be anything but a query; the transaction is never committed and the connection never
used again, so that settings, locks and notifications end with it.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

from maieutic.errors import MissingExtra, UserError
from maieutic.tools.sql.bounds import Bounds
from maieutic.tools.sql.database import Database
from maieutic.tools.sql.driver import as_json
from maieutic.tools.sql.engine import Ask, QueryFailed, Table, table_of
from maieutic.tools.sql.postgres_schema import read_schema
from maieutic.tools.sql.schema import Schema

_CONNECT_SECONDS = 10
_CURSOR = "DECLARE asked NO SCROLL CURSOR FOR "
_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*+(?:\n|\Z)|(?>/\*.*?\*/))*+(\w+|\(|\Z)", re.DOTALL)
_QUERIES = ("select", "with", "values", "table", "(")
_EXPLAIN = re.compile(r"\s*explain\s+(?!analy[sz]e\b)(?!\([^)]*analy[sz]e)", re.IGNORECASE)
# bool, int8, int2, int4, oid, float4, float8, money, date, time, timestamp, timestamptz, interval, timetz, numeric,
# uuid
_SMALL_TYPES = frozenset((16, 20, 21, 23, 26, 700, 701, 790, 1082, 1083, 1114, 1184, 1186, 1266, 1700, 2950))
_BYTES = 17
_RIGHTS = """
SELECT current_user,
  EXISTS (SELECT FROM pg_roles r WHERE r.rolsuper AND pg_has_role(current_user, r.oid, 'MEMBER')),
  ARRAY(SELECT r.rolname::text FROM pg_roles r WHERE pg_has_role(current_user, r.oid, 'MEMBER') AND r.rolname IN (
    'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', 'pg_write_all_data',
    'pg_read_all_data', 'pg_signal_backend', 'pg_maintain', 'pg_checkpoint', 'pg_create_subscription')),
  ARRAY(SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND n.nspname NOT LIKE 'pg\\_t%'
    AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') LIMIT 3),
  ARRAY(SELECT DISTINCT e.extname::text FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
    JOIN pg_extension e ON e.oid = d.refobjid WHERE e.extname = 'dblink'
    AND has_function_privilege(p.oid, 'EXECUTE'))
"""
_ADVICE = (
    "Give the URL of a role that may only read these tables: CREATE ROLE reader LOGIN PASSWORD '…'; "
    "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;"
)


class Postgres:
    """A database on a PostgreSQL server. Made by `open_postgres`, which looks at the role first."""

    name = dialect = "postgres"
    tier: str | None = None

    def __init__(self, database: Database, bounds: Bounds) -> None:
        self._database, self._bounds = database, bounds
        self._running = asyncio.Semaphore(bounds.running)

    async def query(self, query: str, ask: Ask) -> Table:
        first = _FIRST_WORD.match(query)
        word = first[1].lower() if first else ""
        if not word:
            raise QueryFailed("empty", "There is no statement.")
        if word not in (*_QUERIES, "explain"):
            raise QueryFailed("refused", f"A statement that begins with {word.upper()} is not run.")
        async with self._transaction(query) as connection:
            if word == "explain":
                return await self._explain(connection, query, ask)
            return await self._select(connection, query, ask)

    async def schema(self) -> Schema:
        async with self._transaction("") as connection:
            return await read_schema(connection)

    async def close(self) -> None:
        """Nothing is held between queries."""

    @asynccontextmanager
    async def _transaction(self, query: str) -> AsyncIterator[Any]:
        """A read-only transaction that ends with the block, and in time. Raises QueryFailed for what goes wrong."""
        import psycopg

        seconds = self._bounds.seconds
        async with self._running:
            connection: Any = None
            try:
                async with asyncio.timeout(seconds + self._bounds.grace + _CONNECT_SECONDS):
                    connection = await connect(self._database)
                    async with asyncio.timeout(seconds + self._bounds.grace):
                        await _begin(connection, seconds)
                        yield connection
            except TimeoutError as error:
                raise QueryFailed("timeout", f"The query was stopped after {seconds:g} s.") from error
            except psycopg.Error as error:
                raise self._failure(error, query) from error
            finally:
                if connection is not None:
                    await asyncio.shield(_end(connection))

    async def _explain(self, connection: Any, query: str, ask: Ask) -> Table:
        if not _EXPLAIN.match(query):
            raise QueryFailed("refused", "EXPLAIN is run alone, without ANALYZE and without comments before it.")
        cursor = await connection.execute(query, prepare=True)
        rows = await cursor.fetchmany(ask.rows + 1)
        return _table(_columns(cursor), rows, ask)

    async def _select(self, connection: Any, query: str, ask: Ask) -> Table:
        await connection.execute(_CURSOR + query, prepare=True)
        await self._check_cost(connection, query)
        described = await connection.execute("FETCH 0 FROM asked")
        columns, types = _columns(described), [column.type_code for column in described.description]
        if any(type_ not in _SMALL_TYPES for type_ in types):  # one value may be a gigabyte
            await self._declare_shortened(connection, query, types, ask.cell)
        cursor = await connection.execute(f"FETCH FORWARD {ask.rows + 1} FROM asked")
        return _table(columns, await cursor.fetchall(), ask)

    async def _declare_shortened(self, connection: Any, query: str, types: Sequence[int], longest: int) -> None:
        """The same cursor over values cut by the server, so that no more than is asked for is sent here."""
        import psycopg

        names = [f"c{at}" for at in range(len(types))]
        cut = [_cut(name, type_, longest) for name, type_ in zip(names, types, strict=True)]
        inner = query.strip().rstrip(";")
        shortened = f"{_CURSOR}SELECT {', '.join(cut)} FROM (\n{inner}\n) AS asked({', '.join(names)})"
        await connection.execute("CLOSE asked")
        try:
            await connection.execute(shortened, prepare=True)
        except psycopg.errors.SyntaxError as error:
            raise QueryFailed("several", "There is something behind the end of the query.") from error

    async def _check_cost(self, connection: Any, query: str) -> None:
        bounds = self._bounds
        if bounds.cost is None and bounds.rows is None:
            return
        cursor = await connection.execute(f"EXPLAIN (FORMAT JSON) {query}", prepare=True)
        plan = (await cursor.fetchone())[0][0]["Plan"]
        cost, rows = float(plan["Total Cost"]), float(_most_rows(plan))
        if bounds.cost is not None and cost > bounds.cost:
            raise QueryFailed("costly", f"The server estimates a cost of {cost:,.0f}; the limit is {bounds.cost:,.0f}.")
        if bounds.rows is not None and rows > bounds.rows:
            raise QueryFailed(
                "costly", f"The server expects {rows:,.0f} rows on the way; the limit is {bounds.rows:,.0f}."
            )

    def _failure(self, error: Any, query: str) -> QueryFailed:
        state, diagnosis = error.sqlstate or "", error.diag
        message = self._database.redact(diagnosis.message_primary or " ".join(str(error).split()))
        if diagnosis.message_hint:
            message = f"{message}. {self._database.redact(diagnosis.message_hint)}"
        kind: Any = {"57014": "timeout", "25006": "refused", "53200": "memory", "08": "unopened"}.get(state, "failed")
        if "multiple commands" in message:
            kind = "several"
        position = None
        if diagnosis.statement_position:
            position = int(diagnosis.statement_position) - 1
            position = position - len(_CURSOR) if not _EXPLAIN.match(query) else position
        return QueryFailed(kind, message, state, position if position is not None and position >= 0 else None)


async def open_postgres(database: Database, bounds: Bounds) -> Postgres:
    """The database, once its role is known to do no harm. Raises UserError, which never shows the password."""
    if find_spec("psycopg") is None:
        raise MissingExtra("A PostgreSQL database", "sql")
    import psycopg

    try:
        connection = await connect(database)
        try:
            cursor = await connection.execute(_RIGHTS)
            role, is_super, roles, writable, extensions = await cursor.fetchone()
        finally:
            await connection.close()
    except (psycopg.Error, UnicodeError, OSError) as error:
        said = database.redact(" ".join(str(error).split()))
        raise UserError(f"The database {database.label} can't be opened: {said.rstrip('.')}.") from None
    if is_super:
        raise UserError(f"The role {role} is a superuser, and nothing could keep it from writing. {_ADVICE}")
    if roles or writable:
        may = f"is a member of {', '.join(roles)}" if roles else f"may write to {', '.join(writable)}"
        raise UserError(f"The role {role} {may}. {_ADVICE}")
    if extensions:
        raise UserError(
            f"The role {role} may use {', '.join(extensions)}, which reaches other servers: "
            f"REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC, or give a role that may not."
        )
    return Postgres(database, bounds)


async def connect(database: Database) -> Any:
    """A new connection."""
    import psycopg

    return await psycopg.AsyncConnection.connect(
        database.url, connect_timeout=_CONNECT_SECONDS, application_name="maieutic", client_encoding="utf8"
    )


async def _begin(connection: Any, seconds: float) -> None:
    import psycopg

    await connection.set_read_only(True)
    await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
    limit = str(int(seconds * 1000))
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    for name in names:
        await connection.execute("SELECT set_config(%s, %s, true)", (name, limit))


async def _end(connection: Any) -> None:
    """Close it, and stop what it is still doing."""
    import psycopg

    try:
        if connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
            await connection.cancel_safe(timeout=2.0)
    except psycopg.Error:
        pass  # the server's own timeout ends it
    finally:
        await connection.close()


def _cut(name: str, type_: int, longest: int) -> str:
    if type_ in _SMALL_TYPES:
        return name
    if type_ == _BYTES:
        return f"substring({name} from 1 for {longest // 2 + 1})"
    return f"left({name}::text, {longest + 1})"


def _columns(cursor: Any) -> list[list[Any]]:
    return [[column.name, column.type_display] for column in cursor.description or ()]


def _table(columns: list[list[Any]], rows: Sequence[tuple[Any, ...]], ask: Ask) -> Table:
    left, kept = ask.size, list[list[Any]]()
    for row in rows[: ask.rows]:
        cells = [as_json(value, ask.cell) for value in row]
        left -= sum(len(str(cell)) for cell in cells)
        if left < 0 and kept:
            break
        kept.append(cells)
    return table_of({"columns": columns, "rows": kept, "cut": len(kept) < len(rows)})


def _most_rows(plan: dict[str, Any]) -> float:
    return max([float(plan.get("Plan Rows", 0)), *(_most_rows(inner) for inner in plan.get("Plans", []))])
