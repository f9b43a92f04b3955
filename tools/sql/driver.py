"""What runs in a sandbox's worker for the `sql` tool: one SQLite or DuckDB database, open for reading, query by query.

Its text is sent into the worker, so it stands on the standard library and duckdb alone. What keeps a query from
writing, reading other files or going on for ever is the engine (an authorizer in SQLite, DuckDB's read-only mode and
its limits), and around it the sandbox and its deadline. Replies are lines of ASCII JSON; the host trusts none.
"""

import datetime
import decimal
import importlib.util
import json
import os
import re
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

STEPS = 20_000  # of SQLite's machine, between two looks at the clock
LOCKED_SECONDS = 2.0
SAMPLED_ROWS = 60
SAMPLES = 3
COUNTED = 1_000_000
FEW_VALUES = 8
_EXPLAIN = re.compile(r"\s*explain\s+(?!analy[sz]e\b|\()", re.IGNORECASE)
_QUOTE = re.compile(r'"')

Request = dict[str, Any]


class Refused(Exception):
    """A query that isn't run; `kind` as in `QueryFailed`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Answer:
    """Rows as they come, cut where there are too many, too large ones, or too much of them together."""

    def __init__(self, columns: list[list[Any]], request: Request) -> None:
        self.columns = columns
        self.rows: list[list[Any]] = []
        self.cut = False
        self._most, self._cell, self._left = request["rows"], request["cell"], request["size"]

    def add(self, row: "tuple[Any, ...]") -> bool:
        """Take one more row; False where there is no room for it."""
        cells = [as_json(value, self._cell) for value in row]
        self._left -= len(json.dumps(cells))
        if len(self.rows) >= self._most or (self._left < 0 and self.rows):
            self.cut = True
            return False
        self.rows.append(cells)
        return True

    def reply(self) -> dict[str, Any]:
        return {"columns": self.columns, "rows": self.rows, "cut": self.cut}


def as_json(value: Any, longest: int) -> Any:
    """A cell: JSON as it is, or one tagged value: s(tring, cut), b(ytes in hex, cut), d(ecimal), t(ime)."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return {"b": bytes(value[: longest // 2]).hex(), "of": len(value)}
    if isinstance(value, decimal.Decimal):
        return {"d": str(value)}
    if isinstance(value, datetime.datetime):
        return {"t": value.isoformat(" ")}
    if isinstance(value, datetime.date | datetime.time):
        return {"t": value.isoformat()}
    if isinstance(value, list | tuple | dict):
        value = json.dumps(value, default=str, ensure_ascii=False)
    text = value if isinstance(value, str) else str(value)
    return {"s": text[:longest], "of": len(text)} if len(text) > longest else text


def _quoted(name: str) -> str:
    return '"' + _QUOTE.sub('""', name) + '"'


def _samples(rows: "list[tuple[Any, ...]]", width: int) -> list[list[Any]]:
    """For each column its first few different values; all of them where the rows show that they are few."""
    found = []
    for at in range(width):
        values = list(dict.fromkeys(row[at] for row in rows if isinstance(row[at], str | int | float | datetime.date)))
        few = len(values) <= FEW_VALUES and len(rows) >= 4 * len(values)
        found.append([as_json(value, 40) for value in values[: FEW_VALUES if few else SAMPLES]])
    return found


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
            described = self._connection.execute(f"PRAGMA table_xinfo({_quoted(name)})").fetchall()
            keys = self._connection.execute(f"PRAGMA foreign_key_list({_quoted(name)})").fetchall()
        except sqlite3.Error as error:  # a view over what isn't there any more
            return {**table, "problem": str(error)}
        shown = [row for row in described if row[6] != 1]
        rows = self._head(name) if sampled else []
        if sampled and kind == "table":
            table["rows"] = self._count(name)
        values = _samples(rows, len(shown)) if rows and len(rows[0]) == len(shown) else [[] for _ in shown]
        targets = {key[3]: f"{key[2]}.{key[4] or self._primary(key[2])}" for key in keys}
        for (_, column, type_, notnull, _, primary, _), samples in zip(shown, values, strict=True):
            table["columns"].append(
                {"name": column, "type": type_, "null": not notnull and not primary, "primary": bool(primary),
                 "to": targets.get(column), "samples": samples}
            )  # fmt: skip
        return table

    def _head(self, name: str) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(f"SELECT * FROM {_quoted(name)} LIMIT {SAMPLED_ROWS}").fetchall()
        except sqlite3.Error:
            return []

    def _count(self, name: str) -> int | None:
        try:
            some = f"SELECT 1 FROM {_quoted(name)} LIMIT {COUNTED + 1}"
            return int(self._connection.execute(f"SELECT count(*) FROM ({some})").fetchone()[0])
        except sqlite3.Error:
            return None

    def _primary(self, table: str) -> str:
        described = self._connection.execute(f"PRAGMA table_xinfo({_quoted(table)})").fetchall()
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


class Duck:
    """A DuckDB database, or files as the tables of one, made here and opened again for reading."""

    def __init__(self, config: dict[str, Any]) -> None:
        import duckdb

        _stand_in_for_pytz()
        self._duckdb = duckdb
        self._problems: dict[str, str] = {}
        self._notes: dict[str, str] = {}
        options: dict[str, Any] = {
            "memory_limit": f"{config['memory'] >> 20}MB",
            "threads": str(config["threads"]),
            "max_temp_directory_size": "0B",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "python_enable_replacements": "false",
        }
        path = config["path"]
        if config["files"]:
            path = os.path.join(os.getcwd(), "views.duckdb")
            self._make_views(path, config["files"], options)
        self._connection = duckdb.connect(path, read_only=True, config=options)
        if config["files"]:
            self._connection.execute(f"SET allowed_paths={[file['path'] for file in config['files']]!r}")
        for setting in (
            "TimeZone='UTC'",
            "enable_progress_bar=false",
            "enable_external_access=false",
            "lock_configuration=true",
        ):
            self._connection.execute(f"SET {setting}")

    def _make_views(self, path: str, files: list[dict[str, str]], options: dict[str, Any]) -> None:
        with self._duckdb.connect(path, config=options) as connection:
            for file in files:
                literal = "'" + file["path"].replace("'", "''") + "'"
                try:
                    self._make_view(connection, file, literal)
                except (self._duckdb.Error, UnicodeDecodeError) as error:
                    self._problems[file["name"]] = _first_line(str(error))

    def _make_view(self, connection: Any, file: dict[str, str], literal: str) -> None:
        attempts = [""] if file["reader"] != "read_csv" else ["", ", encoding='latin-1'"]
        for attempt, extra in enumerate(attempts):
            view = f"CREATE VIEW {_quoted(file['name'])} AS SELECT * FROM {file['reader']}({literal}{extra})"
            try:
                connection.execute(view)
            except (self._duckdb.Error, UnicodeDecodeError) as error:
                if attempt + 1 < len(attempts) and re.search("utf-8|unicode", str(error), re.IGNORECASE):
                    continue
                raise
            if extra:
                self._notes[file["name"]] = "not valid UTF-8: read as Latin-1"
            return

    def query(self, request: Request) -> dict[str, Any]:
        query = self._checked(request["query"])
        with self._limited(request["seconds"]):
            relation = self._connection.sql(query)
            if relation is None:
                raise Refused("refused", "This is not a query.")
            columns = [[name, str(type_)] for name, type_ in zip(relation.columns, relation.types, strict=True)]
            answer = Answer(columns, request)
            if not _EXPLAIN.match(query):
                relation = relation.limit(request["rows"] + 1)
            for row in relation.fetchall():
                if not answer.add(row):
                    break
            return answer.reply()

    def _checked(self, query: str) -> str:
        """The query, where it is one statement that only reads. Raises Refused."""
        explained = _EXPLAIN.match(query)
        inner = query[explained.end() :] if explained else query
        statements = self._connection.extract_statements(inner)
        if len(statements) != 1:
            raise Refused("several" if statements else "empty", f"There are {len(statements)} statements.")
        if statements[0].type != self._duckdb.StatementType.SELECT:
            raise Refused("refused", f"A statement of type {statements[0].type.name} is not run.")
        return query

    def _limited(self, seconds: float) -> "Interrupting":
        return Interrupting(self._connection.interrupt, seconds)

    def schema(self, request: Request) -> dict[str, Any]:
        ends = time.monotonic() + request["seconds"] / 2
        with self._limited(request["seconds"]):
            tables = {(row[0], row[1]): row for row in self._rows(
                "SELECT schema_name, table_name, 'table', comment, estimated_size FROM duckdb_tables() "
                "WHERE NOT internal UNION ALL SELECT schema_name, view_name, 'view', comment, NULL FROM duckdb_views() "
                "WHERE NOT internal ORDER BY 1, 2 LIMIT ?", request["tables"])}  # fmt: skip
            columns: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
            for row in self._rows(
                "SELECT schema_name, table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns() "
                "WHERE NOT internal ORDER BY column_index"
            ):
                columns.setdefault((row[0], row[1]), []).append(row[2:])
            keys = self._keys()
            found = [
                self._table(row, columns.get(key, []), keys, at < request["sampled"] and time.monotonic() < ends)
                for at, (key, row) in enumerate(tables.items())
            ]
        broken: list[dict[str, Any]] = [{"name": n, "kind": "view", "rows": None, "columns": [], "problem": p}
                  for n, p in self._problems.items()]  # fmt: skip
        return {"tables": found + broken}

    def _rows(self, query: str, *parameters: Any) -> Iterator[tuple[Any, ...]]:
        yield from self._connection.execute(query, list(parameters)).fetchall()

    def _keys(self) -> dict[tuple[str, str, str], str]:
        """What is known of columns: PRIMARY KEY, or the column that they refer to."""
        keys: dict[tuple[str, str, str], str] = {}
        for schema, table, kind, names, target, targets in self._rows(
            "SELECT schema_name, table_name, constraint_type, constraint_column_names, referenced_table, "
            "referenced_column_names FROM duckdb_constraints()"
        ):
            for at, name in enumerate(names or []):
                if kind == "PRIMARY KEY":
                    keys.setdefault((schema, table, name), kind)
                elif kind == "FOREIGN KEY" and targets:
                    keys[schema, table, name] = f"{target}.{targets[at]}"
        return keys

    def _table(
        self, row: tuple[Any, ...], columns: list[tuple[Any, ...]], keys: dict[Any, str], sampled: bool
    ) -> dict[str, Any]:
        schema, name, kind, comment, rows = row
        place = _quoted(schema) + "." + _quoted(name)
        head: list[tuple[Any, ...]] = []
        problem = None
        if sampled:
            try:
                head = self._connection.execute(f"SELECT * FROM {place} LIMIT {SAMPLED_ROWS}").fetchall()
            except (self._duckdb.Error, UnicodeDecodeError) as error:
                problem = _first_line(str(error))
        values = _samples(head, len(columns)) if head and len(head[0]) == len(columns) else [[] for _ in columns]
        table: dict[str, Any] = {
            "name": name if schema == "main" else f"{schema}.{name}",
            "kind": kind,
            "comment": comment or self._notes.get(name),
            "rows": rows,
            "columns": [],
        }
        for (column, type_, null, said), samples in zip(columns, values, strict=True):
            key = keys.get((schema, name, column))
            primary = key == "PRIMARY KEY"
            table["columns"].append(
                {"name": column, "type": type_, "null": null, "primary": primary, "to": None if primary else key,
                 "comment": said, "samples": samples}
            )  # fmt: skip
        return table if problem is None else {**table, "problem": problem}


class _Utc(datetime.tzinfo):
    def utcoffset(self, _: datetime.datetime | None) -> datetime.timedelta:
        return datetime.timedelta(0)

    dst = utcoffset

    def tzname(self, _: datetime.datetime | None) -> str:
        return "UTC"

    def localize(self, when: datetime.datetime) -> datetime.datetime:
        return when.replace(tzinfo=self)

    def normalize(self, when: datetime.datetime) -> datetime.datetime:
        return when


def _stand_in_for_pytz() -> None:
    """DuckDB's client asks pytz for the time zone of a TIMESTAMPTZ; here that is always UTC."""
    if importlib.util.find_spec("pytz") is None:
        module: Any = type(sys)("pytz")
        module.timezone, module.utc = lambda _: _Utc(), _Utc()
        sys.modules["pytz"] = module


class Interrupting:
    """A block in which `interrupt` is called once the time is up."""

    def __init__(self, interrupt: Callable[[], None], seconds: float) -> None:
        self._timer = threading.Timer(seconds, interrupt)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def _first_line(text: str) -> str:
    return " ".join(text.split())[:300]


class Driver:
    """One open database, answering requests with lines of JSON. Whatever goes wrong is an answer too."""

    def __init__(self, config: dict[str, Any]) -> None:
        for folder in ("/packages", os.path.join(os.getcwd(), "packages")):
            if folder not in sys.path:
                sys.path.append(folder)
        config = {**config, "path": _inside(config["path"])}
        config["files"] = [{**file, "path": _inside(file["path"])} for file in config["files"]]
        self._config = config
        self._opened: Sqlite | Duck | None = None

    def answer(self, what: str, request: Request) -> str:
        try:
            if self._opened is None:
                self._opened = Sqlite(self._config) if self._config["engine"] == "sqlite" else Duck(self._config)
            reply = getattr(self._opened, what)(request)
        except Refused as error:
            reply = {"error": error.kind, "message": str(error)}
        except MemoryError:
            reply = {"error": "memory", "message": "out of memory"}
        except Exception as error:
            kind = "unopened" if self._opened is None else "failed"
            reply = {"error": kind, "message": str(error), "name": _error_name(error)}
        return json.dumps(reply)


def _error_name(error: Exception) -> str:
    return getattr(error, "sqlite_errorname", None) or type(error).__name__


def _inside(path: str) -> str:
    """Where a bound file is found: some sandboxes can't mount and have it below the working directory."""
    return path if os.path.exists(path) else os.path.join(os.getcwd(), path.lstrip("/"))
