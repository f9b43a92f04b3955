"""What a database holds, as a model is told: tables, columns, keys, comments, and values to recognize them by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SMALL = 6_000  # characters of a schema that still goes into a tool's description
_COMMENT = 200


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `refers` is the TABLE.COLUMN that it is a foreign key to."""

    name: str
    type: str = ""
    null: bool = True
    primary: bool = False
    refers: str | None = None
    comment: str | None = None
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table or view; `rows` is None where nobody counted, `problem` says why it can't be read."""

    name: str
    columns: tuple[Column, ...]
    kind: str = "table"
    rows: int | None = None
    comment: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of a database. `complete` is False where it holds more than were read."""

    tables: tuple[TableInfo, ...] = ()
    complete: bool = True
    _by_name: dict[str, TableInfo] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._by_name.update((table.name.casefold(), table) for table in self.tables)

    def table(self, name: str) -> TableInfo | None:
        """The table of this name, whatever its case, quotes or, where that is clear, its schema."""
        plain = name.replace('"', "").replace("`", "").strip("[] ").casefold()
        found = self._by_name.get(plain) or self._by_name.get(plain.rpartition(".")[2])
        return found or next((table for key, table in self._by_name.items() if key.endswith(f".{plain}")), None)


def schema_of(reply: Mapping[str, Any], limit: int) -> Schema:
    """A schema as the driver tells it. Raises ValueError, KeyError or TypeError for anything else."""
    tables = [_table(table) for table in reply["tables"]]
    return Schema(tuple(tables[:limit]), len(tables) < limit)


def _table(told: Mapping[str, Any]) -> TableInfo:
    comments = ddl_comments(told.get("sql") or "")
    columns = tuple(
        Column(
            str(column["name"]),
            str(column["type"] or ""),
            bool(column["null"]),
            bool(column["primary"]),
            column.get("to"),
            _short(column.get("comment") or comments.get(str(column["name"]).casefold())),
            tuple(sample_text(value) for value in column["samples"]),
        )
        for column in told["columns"]
    )
    comment = _short(told.get("comment") or comments.get(""))
    return TableInfo(str(told["name"]), columns, str(told["kind"]), told.get("rows"), comment, told.get("problem"))


def sample_text(value: Any) -> str:
    """A sample as it would stand in a query, shortened."""
    if isinstance(value, Mapping):
        value = value.get("s") or value.get("t") or value.get("d") or value.get("b") or ""
        return f"'{str(value)[:40]}…'" if "…" not in str(value) and len(str(value)) >= 40 else f"'{value}'"
    if isinstance(value, str):
        one_line = " ".join(value.split())
        return f"'{one_line[:40]}…'" if len(one_line) > 40 else f"'{one_line}'"
    return str(value)


def ddl_comments(sql: str) -> dict[str, str]:
    """The comments in a CREATE TABLE, by column in lower case, the table's own under ""; none without sqlglot."""
    if "--" not in sql and "/*" not in sql:
        return {}
    try:
        import sqlglot
        from sqlglot import expressions as exp
    except ImportError:
        return {}
    try:
        tree = sqlglot.parse_one(sql, read="sqlite")
    except Exception:  # a dialect's corner: the comments are a kindness, the schema is there without them
        return {}
    found = {
        column.name.casefold(): " ".join(part.strip() for part in column.comments)
        for column in tree.find_all(exp.ColumnDef)
        if column.comments
    }
    return {**found, "": " ".join(part.strip() for part in tree.comments)} if tree.comments else found


def _short(comment: str | None) -> str | None:
    if not comment or not comment.strip():
        return None
    text = " ".join(comment.split())
    return text if len(text) <= _COMMENT else f"{text[:_COMMENT]}…"


def describe(tables: Iterable[TableInfo], shown: Mapping[str, frozenset[str]] | None = None) -> str:
    """Tables in words, a line a column; `shown` names the columns of a table that are told where not all are."""
    return "\n".join(_describe(table, (shown or {}).get(table.name)) for table in tables)


def _describe(table: TableInfo, shown: frozenset[str] | None) -> str:
    facts = [] if table.kind == "table" else [table.kind]
    if table.rows is not None:
        facts.append("over 1,000,000 rows" if table.rows > 1_000_000 else f"{table.rows:,} rows")
    head = f"{table.name} ({', '.join(facts)})" if facts else table.name
    if table.comment:
        head += f" -- {table.comment}"
    if table.problem:
        head += f" -- can't be read: {table.problem}"
    lines = [head]
    for column in table.columns:
        if shown is None or column.name in shown:
            lines.append("  " + _line(column))
    left_out = len(table.columns) - len(lines) + 1
    if left_out:
        lines.append(f"  … and {left_out} more columns")
    return "\n".join(lines)


def _line(column: Column) -> str:
    parts = [" ".join(filter(None, (column.name, column.type)))]
    if column.primary:
        parts.append("primary key")
    elif not column.null:
        parts.append("not null")
    if column.refers:
        parts.append(f"-> {column.refers}")
    if column.samples:
        parts.append(f"e.g. {', '.join(column.samples)}")
    return ", ".join(parts) + (f" -- {column.comment}" if column.comment else "")
