"""What a model is told when a query fails: the engine's own message, where it went wrong, and what to do instead."""

import re
from difflib import get_close_matches

from maieutic.tools.sql.engine import QueryFailed
from maieutic.tools.sql.schema import Schema

_READ = 4_000  # characters of a message that are looked at
_PARSED = 20_000  # characters of a query that sqlglot is troubled with
READ_ONLY = "The database can only be read: write one query (SELECT, WITH, VALUES or EXPLAIN)."
_BY_KIND = {
    "refused": READ_ONLY,
    "several": "Send one statement at a time.",
    "empty": "The query is empty: write one SELECT.",
    "timeout": "Ask for less: filter earlier, aggregate, join on keys, or look at a part of the table.",
    "memory": "Ask for less: select fewer columns, filter, aggregate, or leave out the sorting of everything.",
    "costly": "Filter by an indexed column, join on keys, or ask for a part of the table.",
    "died": "Ask it in another way.",
}
_NO_COLUMN = re.compile(
    r'no such column: "?(?P<a>[^"\n]+?)"?(?: - |$|\n)'
    r'|column "?(?P<b>[\w."]+?)"? (?:does not exist|not found)'
    r'|does not have a column named "(?P<c>[^"]+)"'
    r"|Unknown column '(?P<d>[^']+)'",
    re.IGNORECASE | re.MULTILINE,
)
_NO_TABLE = re.compile(
    r"no such table: (?P<a>[^\n]+)"
    r"|Table with name (?P<b>\S+) does not exist"
    r'|relation "(?P<c>[^"]+)" does not exist'
    r"|missing FROM-clause entry for table \"(?P<d>[^\"]+)\""
    r'|Referenced table "(?P<e>[^"]+)" not found'
    r"|Table '(?P<f>[^']+)' doesn't exist",
    re.IGNORECASE,
)
_AMBIGUOUS = re.compile(
    r'ambiguous column name: (?P<a>\S+)|Ambiguous reference to column name:? "?(?P<b>[^" ]+)'
    r'|column reference "(?P<c>[^"]+)" is ambiguous',
    re.IGNORECASE,
)
_NO_FUNCTION = re.compile(
    r"no such function: (?P<a>\w+)|Function with name (?P<b>\w+) does not exist|function (?P<c>\w+)\(", re.IGNORECASE
)
_SYNTAX = re.compile(r"syntax error|parser error|incomplete input|unrecognized token", re.IGNORECASE)
_SQLITE_INSTEAD = {
    "year": "strftime('%Y', d)",
    "month": "strftime('%m', d)",
    "day": "strftime('%d', d)",
    "extract": "strftime('%Y', d)",
    "date_trunc": "strftime('%Y-%m-01', d)",
    "date_format": "strftime('%Y-%m-%d', d)",
    "to_char": "strftime('%Y-%m-%d', d)",
    "datediff": "julianday(a) - julianday(b)",
    "now": "datetime('now')",
    "concat": "a || b",
    "left": "substr(s, 1, n)",
    "right": "substr(s, -n)",
    "stddev": "sqrt(avg(x * x) - avg(x) * avg(x))",
    "string_agg": "group_concat(x, ',')",
    "regexp_matches": "LIKE or GLOB",
    "percentile_cont": "ORDER BY with LIMIT 1 OFFSET",
    "median": "ORDER BY with LIMIT 1 OFFSET",
    "greatest": "max(a, b)",
    "least": "min(a, b)",
}


def explain(error: QueryFailed, query: str, schema: Schema | None, dialect: str) -> str:
    """The message and, where there is one, a hint."""
    message = " ".join(str(error).split("\nLINE ")[0].split())
    message = message if len(message) <= 600 else f"{message[:600]}…"
    said = str(error)[:_READ]
    hint = _BY_KIND.get(error.kind) or _from_message(said, query, schema or Schema(), dialect, error.position)
    return f"{message.rstrip('.')}. {hint}" if hint else message


def _from_message(message: str, query: str, schema: Schema, dialect: str, position: int | None) -> str | None:
    if found := _match(_AMBIGUOUS, message):
        return _ambiguous(found, schema)
    if found := _match(_NO_COLUMN, message):
        return _closest_column(found, schema)
    if found := _match(_NO_TABLE, message):
        return _closest_table(found, schema)
    if found := _match(_NO_FUNCTION, message):
        instead = _SQLITE_INSTEAD.get(found.lower()) if dialect == "sqlite" else None
        return f"In SQLite write {instead} instead." if instead else None
    if _SYNTAX.search(message):
        return _place(message, query, dialect, position)
    if "unicode" in message.lower() or "utf-8" in message.lower():
        return "The file holds bytes that are not UTF-8; the rows before them can be read with LIMIT."
    if "locked" in message.lower():
        return "Another program is writing to the database: try again."
    return None


def _match(pattern: re.Pattern[str], message: str) -> str | None:
    match = pattern.search(message)
    return next((part for part in match.groups() if part), None) if match else None


def _ambiguous(name: str, schema: Schema) -> str:
    plain = name.rpartition(".")[2].strip('"').casefold()
    holders = [table.name for table in schema.tables if any(c.name.casefold() == plain for c in table.columns)]
    return f"Say which table it is of: {', '.join(f'{holder}.{plain}' for holder in holders[:6])}." if holders else ""


def _closest_column(name: str, schema: Schema) -> str | None:
    qualifier, _, plain = name.replace('"', "").rpartition(".")
    table = schema.table(qualifier) if qualifier else None
    holders = [t.name for t in schema.tables if any(c.name.casefold() == plain.casefold() for c in t.columns)]
    if holders:
        return f"{plain} is a column of {', '.join(holders[:6])}."
    if table is not None:
        return f"{table.name} has {', '.join(c.name for c in table.columns[:30])}."
    owners: dict[str, list[str]] = {}
    for one in schema.tables:
        for column in one.columns:
            owners.setdefault(column.name.casefold(), []).append(f"{one.name}.{column.name}")
    close = get_close_matches(plain.casefold(), owners, n=4, cutoff=0.5)
    close += [key for key in owners if plain.casefold() in key.split("_") and key not in close]
    names = [owner for key in close for owner in owners[key][:2]]
    return f"The closest columns are {', '.join(names[:6])}." if names else None


def _closest_table(name: str, schema: Schema) -> str | None:
    plain = name.replace('"', "").strip().casefold()
    if not schema.tables:
        return None
    known = {table.name.casefold(): table.name for table in schema.tables}
    close = get_close_matches(plain.rpartition(".")[2], known, n=3, cutoff=0.5)
    if close:
        return f"The closest tables are {', '.join(known[key] for key in close)}."
    some = ", ".join(table.name for table in schema.tables[:20])
    return f"The tables are {some}{' …' if len(schema.tables) > 20 else ''}."


def _place(message: str, query: str, dialect: str, position: int | None) -> str | None:
    """Where the error is: the engine's own word, else what sqlglot finds."""
    if position is None and len(query) <= _PARSED:
        position = _found_by_sqlglot(query, dialect)
    if position is None:
        return None
    position = min(position, len(query))
    line = query.count("\n", 0, position) + 1
    before = query[max(0, position - 30) : position].split("\n")[-1]
    after = query[position : position + 30].split("\n")[0]
    return f"Line {line}, at the mark: {before}>>>{after}"


def _found_by_sqlglot(query: str, dialect: str) -> int | None:
    try:
        import sqlglot
        from sqlglot.errors import ParseError
    except ImportError:
        return None
    try:
        sqlglot.parse(query, read=dialect)
    except ParseError as error:
        if error.errors and (line := error.errors[0].get("line")):
            lines = query.split("\n")
            highlight = error.errors[0].get("highlight") or ""
            column = (error.errors[0].get("col") or 1) - len(highlight)
            return sum(len(one) + 1 for one in lines[: line - 1]) + max(0, column)
    except Exception:  # sqlglot is advice
        return None
    return None
