"""The tools `sql` and `sql_schema`: a model questions a database that it can't change, and looks up what is in it."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from maieutic.errors import ToolError, UserError
from maieutic.tools.options import ToolOptions
from maieutic.tools.sql.asking import WHOLE
from maieutic.tools.sql.bounds import DEFAULT, Bounds
from maieutic.tools.sql.database import Database, Named, database_of, openly
from maieutic.tools.sql.engine import Ask, QueryFailed, Table
from maieutic.tools.sql.hints import explain
from maieutic.tools.sql.linking import columns_for, linked, words
from maieutic.tools.sql.opening import Opened, release, take, using
from maieutic.tools.sql.rendering import rendered
from maieutic.tools.sql.schema import SMALL, Schema, describe
from maieutic.tools.tool import Reply, Session, Tool, tool

DIALECTS = {"sqlite": "SQLite", "duckdb": "DuckDB", "postgres": "PostgreSQL"}
LONGEST = 100_000  # characters of a query
_ASKED = 12_000  # characters of a reply of sql_schema
_Configured = Callable[[str | None], Tool]


@dataclass(frozen=True)
class QueryTool(Tool):
    """The tool `sql`, which can also say what a query brings as values, for code that compares results.

    `whole(query, session)` gives the query's rows, not shortened as for a model. Raises QueryFailed.
    """

    whole: Callable[[str, Session], Awaitable[Table]] | None = None


def sql_tool(
    database: Named | None = None, *, rows: int = 50, bounds: Bounds = DEFAULT, sandbox: str | None = None
) -> Tool:
    """The tool `sql` over one database; without one over that of the task, `inputs["database"]`.

    `database` is a path (SQLite, DuckDB, or a file or folder of CSV, JSON and Parquet), a URL, a data frame, or several
    by name. `rows` are shown at most; `bounds` limits what a query may use; `sandbox` demands one isolation by name.
    """
    given = None if database is None else database_of(database)

    async def sql(query: str, session: Session) -> Reply:
        """Run one SQL query and see its result. The database can be read, never changed."""
        meant = given or _of_task(session)
        opened = await _kept(session, meant, bounds, sandbox)
        return await _answer(opened, meant, query, Ask(rows=rows))

    async def whole(query: str, session: Session) -> Table:
        opened = await _kept(session, given or _of_task(session), bounds, sandbox)
        return await opened.engine.query(_unfenced(query), WHOLE)

    def again(demanded: str | None) -> Tool:
        return sql_tool(database, rows=rows, bounds=bounds, sandbox=demanded)

    made = tool(sql)
    parts = {one.name: getattr(made, one.name) for one in fields(made)}
    return _ready(QueryTool(**parts, whole=whole), given, bounds, sandbox, again, _about_query)


def schema_tool(database: Named | None = None, *, bounds: Bounds = DEFAULT, sandbox: str | None = None) -> Tool:
    """The tool `sql_schema`, which tells what is in the database that `sql` questions."""
    given = None if database is None else database_of(database)

    async def sql_schema(session: Session, question: str = "", tables: list[str] = []) -> Reply:  # noqa: B006
        """See the tables of the database with their columns, types, keys and some values.

        Name the tables you want to see, or say what you want to know, and the tables that fit best are shown.
        """
        meant = given or _of_task(session)
        opened = await _kept(session, meant, bounds, sandbox)
        try:
            schema = await opened.schema()
        except QueryFailed as error:
            return Reply(meant.redact(explain(error, "", None, opened.engine.dialect)), "error")
        return Reply(_told(schema, question, tables), meta={"tables": len(schema.tables), "engine": opened.engine.name})

    def again(demanded: str | None) -> Tool:
        return schema_tool(database, bounds=bounds, sandbox=demanded)

    return _ready(tool(sql_schema), given, bounds, sandbox, again, lambda about, _: about)


def _ready(
    made: Tool,
    given: Database | None,
    bounds: Bounds,
    sandbox: str | None,
    again: _Configured,
    describe_with: Callable[[str, Opened], str],
) -> Tool:
    """The tool that checks its database before the first run, and tells of it in its description."""

    async def configure(options: ToolOptions) -> Tool:
        demanded = options.sandbox_name()
        return replace(again(demanded), configure=None) if demanded and sandbox is None else ready

    async def prepare() -> Tool | None:
        if given is None:
            return None
        async with using(given, bounds, sandbox) as opened:
            try:
                await opened.schema()
            except QueryFailed as error:
                said = given.redact(explain(error, "", None, opened.engine.dialect))
                raise UserError(f"The database {given.label} can't be used: {said}") from error
            return replace(ready, description=describe_with(made.description, opened))

    ready = replace(made, prepare=prepare, configure=configure, needs="a database: --database, or sql@PATH")
    return ready


def _about_query(about: str, opened: Opened) -> str:
    """The tool's description with the schema, where that is small, or the names of the tables."""
    assert opened.known is not None
    schema, engine = opened.known, opened.engine
    dialect = DIALECTS.get(engine.dialect, engine.dialect)
    text = describe(schema.tables)
    if len(text) <= SMALL:
        return f"{about} Write it in {dialect}'s SQL.\n\nThe tables:\n{text}"
    names, shown = "", 0
    for table in schema.tables:
        if len(names) > SMALL // 2:
            break
        names, shown = f"{names}{', ' if names else ''}{table.name}", shown + 1
    more = f" and {len(schema.tables) - shown} more" if shown < len(schema.tables) else ""
    return f"{about} Write it in {dialect}'s SQL. See the columns with sql_schema first.\n\nThe tables: {names}{more}"


def _told(schema: Schema, question: str, wanted: list[str]) -> str:
    if not wanted:
        text, most = describe(schema.tables), SMALL if question else _ASKED
        if len(text) > most:
            text = linked(schema, question, most)
        return text if schema.complete else f"{text}\n[There are more tables than could be read.]"
    found, missing = [], []
    for name in wanted:
        table = schema.table(name)
        if table is None:
            missing.append(name)
        elif table not in found:
            found.append(table)
    if not found:
        known = ", ".join(table.name for table in schema.tables[:50])
        raise ToolError(f"There is no table {', '.join(missing)}. Tables: {known or 'none'}.")
    text = describe(found)
    if len(text) > _ASKED:
        asked = words(question)
        shown = {table.name: columns for table in found if (columns := columns_for(table, asked)) is not None}
        text = describe(found, shown)
    text = text if len(text) <= _ASKED else f"{text[:_ASKED]}\n[Cut here: name fewer tables.]"
    return f"{text}\n[There is no table {', '.join(missing)}.]" if missing else text


async def _answer(opened: Opened, database: Database, query: str, ask: Ask) -> Reply:
    engine = opened.engine
    query = _unfenced(query)
    if len(query) > LONGEST:
        raise ToolError(f"The query has {len(query):,} characters; write one of at most {LONGEST:,}.")
    meta: dict[str, Any] = {"engine": engine.name, "tier": engine.tier, "database": database.label}
    started = time.monotonic()
    try:
        table = await engine.query(query, ask)
    except QueryFailed as error:
        meta |= {"seconds": time.monotonic() - started, "failure": error.kind}
        said = database.redact(explain(error, query, await _known(opened), engine.dialect))
        return Reply(said, "timeout" if error.kind == "timeout" else "error", meta)
    text, shown = rendered(table)
    meta |= {
        "seconds": time.monotonic() - started,
        "rows": len(table.rows),
        "columns": list(table.columns),
        "truncated": table.cut or shown < len(table.rows) or bool(table.shortened),
    }
    return Reply(text, meta=meta)


async def _known(opened: Opened) -> Schema | None:
    """The schema for hints; a hint is not worth another failure."""
    try:
        return await opened.schema()
    except ToolError:
        return None


async def _kept(session: Session, database: Database, bounds: Bounds, sandbox: str | None) -> Opened:
    """The session's open database, given back with the branch."""

    async def open_() -> Opened:
        return await take(database, bounds, sandbox)

    return await session.keep(f"sql {database.label} {hash(database.key)} {sandbox}", open_, release)


def _of_task(session: Session) -> Database:
    named = session.inputs.database
    if named is None:
        raise UserError('The tool sql has no database: give one, or a task with inputs {"database": PATH}.')
    return database_of(named)


def _unfenced(query: str) -> str:
    """The query without a Markdown fence around the whole of it, which many models write out of habit."""
    lines = query.strip().splitlines()
    if len(lines) >= 2 and lines[0].startswith("```") and lines[-1].strip() == "```":
        return "\n".join(lines[1:-1])
    return query


def sql_named(named: str) -> Tool:
    """`sql_tool` for a database that is given as text, in the tool's own name."""
    return sql_tool(openly(named))


def schema_named(named: str) -> Tool:
    """`schema_tool` for a database that is given as text, in the tool's own name."""
    return schema_tool(openly(named))


sql, sql_schema = sql_tool(), schema_tool()
