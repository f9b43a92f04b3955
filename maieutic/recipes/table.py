"""Rows as a table with typed columns: one pass over a JSONL file finds their schema, another one writes Parquet.

Objects of free form (a tool's arguments, a task, whatever has other keys in other rows) are columns of JSON text with
Arrow's JSON type, which Hugging Face datasets reads back as objects. As plain structs they would come back with every
key that any row has, and TRL would show tools called with arguments that nobody wrote.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from maieutic.errors import MissingExtra
from maieutic.recipes.recipe import Row
from maieutic.trace.payload import parse

if TYPE_CHECKING:
    import pyarrow as pa

_FREE = {"arguments", "parameters", "meta", "extra", "settings", "metadata", "info", "rewards", "sampling", "data"}
_BATCH = 512  # rows that are held at once
_GROUP = 32 * 2**20  # characters of JSON after which a batch is written, however few rows it has


@dataclass(frozen=True, slots=True)
class Many:
    """A list of values of one type; `of` is None where every list was empty."""

    of: "Type"


@dataclass(frozen=True, slots=True)
class Fields:
    """An object with these keys. Only a message may be without some of them."""

    of: tuple[tuple[str, "Type"], ...]


Type = Union[str, Many, Fields, None]  # noqa: UP007  (a forward reference can't be joined by |)


def type_of(value: Any, name: str = "") -> Type:
    """bool, int, float, text, json, a list or an object; None for null."""
    if value is None:
        return None
    if name in _FREE:
        return "json"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -(2**63) <= value < 2**63 else "json"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return Many(_joined(value))
    if not value:
        return "json"
    return Fields(tuple(sorted((key, type_of(inner, key)) for key, inner in value.items())))


def merge(one: Type, other: Type) -> Type:
    """The narrowest type of both."""
    if one == other or other is None:
        return one
    if one is None:
        return other
    if {one, other} == {"int", "float"}:
        return "float"
    if isinstance(one, Many) and isinstance(other, Many):
        return Many(merge(one.of, other.of))
    if isinstance(one, Fields) and isinstance(other, Fields):
        return _merged_fields(dict(one.of), dict(other.of))
    return "json"


def _joined(values: list[Any]) -> Type:
    if values and set(map(type, values)) == {int} and -(2**63) <= min(values) <= max(values) < 2**63:
        return "int"  # token ids, by the thousand
    found: Type = None
    for value in values:
        found = merge(found, type_of(value))
    return found


def _merged_fields(one: dict[str, Type], other: dict[str, Type]) -> Type:
    message = "role" in one and "role" in other
    if not message and one.keys() != other.keys():
        return "json"
    names = sorted({*one, *other})
    return Fields(tuple((name, merge(one.get(name), other.get(name))) for name in names))


class Schema:
    """The type of each column, over all rows that were added."""

    def __init__(self) -> None:
        self._columns: dict[str, Type] = {}

    def add(self, row: Row) -> None:
        for name, value in row.items():
            self._columns[name] = merge(self._columns.get(name), type_of(value, name))

    def fit(self, row: Row) -> Row:
        """The row with JSON text wherever the schema says so."""
        return {name: _fit(row.get(name), kind) for name, kind in self._columns.items()}

    def arrow(self, free: "pa.DataType") -> "pa.Schema":
        """As Arrow's schema, with `free` for objects of free form."""
        import pyarrow as pa

        return pa.schema([(name, _arrow(kind, free)) for name, kind in self._columns.items()])


def write_parquet(lines: Path, out: Path) -> None:
    """The rows of a JSONL file as a Parquet file. Raises MissingExtra."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtra("Writing Parquet", "parquet") from error
    schema = Schema()
    for batch in _batches(lines):
        for row in batch:
            schema.add(row)
    plain, final = schema.arrow(pa.string()), schema.arrow(pa.json_())
    with parquet.ParquetWriter(out, final, compression="zstd") as writer:
        for batch in _batches(lines):
            writer.write_table(pa.Table.from_pylist([schema.fit(row) for row in batch], plain).cast(final))


def _batches(lines: Path) -> Iterator[list[Row]]:
    with lines.open("rb") as file:
        batch: list[Row] = []
        size = 0
        for line in file:
            batch.append(parse(line))
            size += len(line)
            if len(batch) == _BATCH or size > _GROUP:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch


def _fit(value: Any, kind: Type) -> Any:
    if value is None:
        return None
    if kind == "json":
        return json.dumps(value)
    if kind == "text":
        return value if value.isascii() else value.encode("utf-8", "replace").decode()  # a lone surrogate is no UTF-8
    if kind == "float":
        return float(value)
    if isinstance(kind, Many):
        return value if kind.of in ("int", "bool") else [_fit(one, kind.of) for one in value]
    if isinstance(kind, Fields):
        return {name: _fit(value.get(name), inner) for name, inner in kind.of}
    return value


def _arrow(kind: Type, free: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    if isinstance(kind, Many):
        return pa.list_(_arrow(kind.of, free))
    if isinstance(kind, Fields):
        return pa.struct([(name, _arrow(inner, free)) for name, inner in kind.of])
    if kind == "json":
        return free
    known = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "text": pa.string()}
    return known.get(kind or "", pa.null())
