"""DuckDB in a sandbox's worker: opened for reading, without access to other files."""

import datetime
import importlib.util
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from maieutic.tools.sql.driver import SAMPLED_ROWS, Answer, Refused, Request, quoted, sample_values

_EXPLAIN = re.compile(r"\s*explain\s+(?!analy[sz]e\b|\()", re.IGNORECASE)


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
            view = f"CREATE VIEW {quoted(file['name'])} AS SELECT * FROM {file['reader']}({literal}{extra})"
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
        place = quoted(schema) + "." + quoted(name)
        head: list[tuple[Any, ...]] = []
        problem = None
        if sampled:
            try:
                head = self._connection.execute(f"SELECT * FROM {place} LIMIT {SAMPLED_ROWS}").fetchall()
            except (self._duckdb.Error, UnicodeDecodeError) as error:
                problem = _first_line(str(error))
        values = sample_values(head, len(columns)) if head and len(head[0]) == len(columns) else [[] for _ in columns]
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
