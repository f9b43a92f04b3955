"""SQLite in a sandbox's worker: opened for reading, with an authorizer that allows nothing else."""

import re
import sqlite3
import time
from typing import Any

from maieutic.tools.sql.driver import SAMPLED_ROWS, Answer, Refused, Request, quoted, sample_values

STEPS = 20_000  # of SQLite's machine, between two looks at the clock
LOCKED_SECONDS = 2.0
COUNTED = 1_000_000


class Sqlite:
    """A SQLite database. The schema is read first; from then on nothing but SELECT is allowed."""

    def __init__(self, config: dict[str, Any]) -> None:
        path = config["path"].replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        self._connection = sqlite3.connect(
            f"file:{path}?mode=ro", uri=True, timeout=LOCKED_SECONDS, isolation_level=None
        )
        self._connection.text_factory = lambda data: data.decode("utf-8", "replace")
        for pragma in ("query_only=1", "trusted_schema=0", f"hard_heap_limit={config['memory']}", "cell_size_check=1"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 32 << 20)
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # is it a database at all?

    def query(self, request: Request) -> dict[str, Any]:
        self._connection.set_authorizer(_authorize)
        self._limit(request["seconds"])
        try:
            cursor = self._connection.execute(request["query"])
        except (sqlite3.Warning, sqlite3.ProgrammingError) as error:
            several = "one statement" in str(error)
            raise Refused("several" if several else "failed", str(error)) from error
        if cursor.description is None:
            raise Refused("empty" if not _words(request["query"]) else "refused", "This is not a query.")
        answer = Answer([[column[0], None] for column in cursor.description], request)
        for row in cursor:
            if not answer.add(row):
                break
        cursor.close()
        return answer.reply()

    def schema(self, request: Request) -> dict[str, Any]:
        self._connection.set_authorizer(None)
        self._limit(request["seconds"])
        ends = time.monotonic() + request["seconds"] / 2
        listed = self._connection.execute(
            "SELECT m.name, m.type, m.sql FROM sqlite_master m JOIN pragma_table_list l ON l.name = m.name "
            "WHERE m.type IN ('table', 'view') AND l.schema = 'main' AND l.type != 'shadow' "
            "AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY m.rowid LIMIT ?",
            (request["tables"],),
        ).fetchall()
        return {"tables": [self._table(row, at < request["sampled"] and time.monotonic() < ends)
                           for at, row in enumerate(listed)]}  # fmt: skip

    def _table(self, row: "tuple[str, str, str | None]", sampled: bool) -> dict[str, Any]:
        name, kind, sql = row
        table: dict[str, Any] = {"name": name, "kind": kind, "sql": (sql or "")[:20_000], "rows": None, "columns": []}
        try:
            described = self._connection.execute(f"PRAGMA table_xinfo({quoted(name)})").fetchall()
            keys = self._connection.execute(f"PRAGMA foreign_key_list({quoted(name)})").fetchall()
        except sqlite3.Error as error:  # a view over what isn't there any more
            return {**table, "problem": str(error)}
        shown = [row for row in described if row[6] != 1]
        rows = self._head(name) if sampled else []
        if sampled and kind == "table":
            table["rows"] = self._count(name)
        values = sample_values(rows, len(shown)) if rows and len(rows[0]) == len(shown) else [[] for _ in shown]
        targets = {key[3]: f"{key[2]}.{key[4] or self._primary(key[2])}" for key in keys}
        for (_, column, type_, notnull, _, primary, _), samples in zip(shown, values, strict=True):
            table["columns"].append(
                {"name": column, "type": type_, "null": not notnull and not primary, "primary": bool(primary),
                 "to": targets.get(column), "samples": samples}
            )  # fmt: skip
        return table

    def _head(self, name: str) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(f"SELECT * FROM {quoted(name)} LIMIT {SAMPLED_ROWS}").fetchall()
        except sqlite3.Error:
            return []

    def _count(self, name: str) -> int | None:
        try:
            some = f"SELECT 1 FROM {quoted(name)} LIMIT {COUNTED + 1}"
            return int(self._connection.execute(f"SELECT count(*) FROM ({some})").fetchone()[0])
        except sqlite3.Error:
            return None

    def _primary(self, table: str) -> str:
        described = self._connection.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
        return next((str(row[1]) for row in described if row[5]), "rowid")

    def _limit(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        self._connection.set_progress_handler(lambda: time.monotonic() > ends, STEPS)


_HARMFUL = {"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "icu_load_collation", "fsdir"}


def _authorize(action: int, first: "str | None", second: "str | None", *_: "str | None") -> int:
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if (second or "").lower() in _HARMFUL else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and first == "data_version" and second is None:  # full-text search asks for it
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _words(query: str) -> bool:
    """Whether there is anything in it but comments, white space and semicolons."""
    return bool(re.sub(r"--[^\n]*|/\*.*?(\*/|\Z)|[\s;]+", "", query, flags=re.DOTALL))
