"""The `Engine` noun: an open database that answers single queries and tells its schema, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, Protocol

from maieutic.errors import ToolError
from maieutic.tools.sql.schema import Schema

Cell = None | bool | int | float | str | Decimal | bytes
"""A value; dates and times are ISO text, what no other type fits is text as the engine writes it."""

FailureKind = Literal[
    "failed",  # the engine's own error
    "refused",  # not a query, or nothing that may be done
    "several",  # more than one statement
    "empty",
    "timeout",
    "memory",
    "costly",  # by the engine's own estimate
    "unopened",  # the database can't be opened
    "died",
]


@dataclass(frozen=True, slots=True)
class Ask:
    """How much of a result is wanted: `rows`, characters of one `cell`, and characters of all of it (`size`)."""

    rows: int = 50
    cell: int = 300
    size: int = 200_000


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a result. `cut` says that there are more; `shortened` holds the full length of each cell that was
    cut, by row and column. `types` has None where the engine does not say."""

    columns: tuple[str, ...]
    types: tuple[str | None, ...]
    rows: tuple[tuple[Cell, ...], ...]
    cut: bool = False
    shortened: Mapping[tuple[int, int], int] = field(default_factory=dict)


class QueryFailed(ToolError):
    """A query brought no result; the message is the engine's, `kind` says what it means."""

    def __init__(self, kind: FailureKind, message: str, name: str = "", position: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.name = name
        self.position = position  # character of the query, from 0, where the engine says one


class Engine(Protocol):
    """An open database. `dialect` is sqlglot's name for its SQL, `tier` the sandbox it runs in, None for a server."""

    @property
    def name(self) -> str: ...

    @property
    def dialect(self) -> str: ...

    @property
    def tier(self) -> str | None: ...

    async def query(self, query: str, ask: Ask) -> Table:
        """The result of one query, cut to what was asked. Raises QueryFailed."""
        ...

    async def schema(self) -> Schema:
        """The tables with keys, comments and sample values. Raises QueryFailed."""
        ...

    async def close(self) -> None: ...


def table_of(reply: Mapping[str, Any]) -> Table:
    """A result as `driver.Answer` writes it. Raises ValueError for anything else."""
    columns, rows = reply["columns"], reply["rows"]
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise ValueError("not a result")
    shortened: dict[tuple[int, int], int] = {}
    read = []
    for at, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            raise ValueError("not a row of this result")
        read.append(tuple(_cell(value, (at, column), shortened) for column, value in enumerate(row)))
    names = tuple(str(name) for name, _ in columns)
    types = tuple(None if type_ is None else str(type_) for _, type_ in columns)
    return Table(names, types, tuple(read), bool(reply["cut"]), shortened)


def _cell(value: Any, place: tuple[int, int], shortened: dict[tuple[int, int], int]) -> Cell:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    match value:
        case {"d": str(digits)}:
            return Decimal(digits)
        case {"t": str(time)}:
            return time
        case {"s": str(text), "of": int(length)}:
            shortened[place] = length
            return text
        case {"b": str(digits), "of": int(length)}:
            data = bytes.fromhex(digits)
            if len(data) < length:
                shortened[place] = length
            return data
        case _:
            raise ValueError("not a cell")
