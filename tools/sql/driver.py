"""What runs in a sandbox's worker for the `sql` tool: one SQLite or DuckDB database, open for reading, query by query.

Its text and that of the files beside it are sent into the worker, so they stand on the standard library and duckdb
alone. What keeps a query from writing, reading other files or going on for ever is the engine (an authorizer in SQLite,
DuckDB's read-only mode and its limits), and around it the sandbox and its deadline. Replies are lines of ASCII JSON,
and the host trusts none.
"""

import datetime
import decimal
import json
import os
import sys
from typing import Any

SAMPLED_ROWS = 60
SAMPLES = 3
FEW_VALUES = 8

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


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def sample_values(rows: "list[tuple[Any, ...]]", width: int) -> list[list[Any]]:
    """For each column its first few different values; all of them where the rows show that they are few."""
    found = []
    for at in range(width):
        values = list(dict.fromkeys(row[at] for row in rows if isinstance(row[at], str | int | float | datetime.date)))
        few = len(values) <= FEW_VALUES and len(rows) >= 4 * len(values)
        found.append([as_json(value, 40) for value in values[: FEW_VALUES if few else SAMPLES]])
    return found


class Driver:
    """One open database, answering requests with lines of JSON. Whatever goes wrong is an answer too."""

    def __init__(self, config: dict[str, Any]) -> None:
        for folder in ("/packages", os.path.join(os.getcwd(), "packages")):
            if folder not in sys.path:
                sys.path.append(folder)
        config = {**config, "path": _inside(config["path"])}
        config["files"] = [{**file, "path": _inside(file["path"])} for file in config["files"]]
        self._config = config
        self._opened: Any = None

    def answer(self, what: str, request: Request) -> str:
        try:
            if self._opened is None:
                self._opened = self._open()
            reply = getattr(self._opened, what)(request)
        except Refused as error:
            reply = {"error": error.kind, "message": str(error)}
        except MemoryError:
            reply = {"error": "memory", "message": "out of memory"}
        except Exception as error:
            kind = "unopened" if self._opened is None else "failed"
            reply = {"error": kind, "message": str(error), "name": _error_name(error)}
        return json.dumps(reply)

    def _open(self) -> Any:
        if self._config["engine"] == "sqlite":
            from maieutic.tools.sql.driver_sqlite import Sqlite

            return Sqlite(self._config)
        from maieutic.tools.sql.driver_duckdb import Duck

        return Duck(self._config)


def _error_name(error: Exception) -> str:
    return getattr(error, "sqlite_errorname", None) or type(error).__name__


def _inside(path: str) -> str:
    """Where a bound file is found: some sandboxes can't mount and have it below the working directory."""
    return path if os.path.exists(path) else os.path.join(os.getcwd(), path.lstrip("/"))
