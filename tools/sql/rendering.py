"""A result as a model reads it: a header, a line a row, and how many rows there are."""

from decimal import Decimal

from maieutic.tools.sql.engine import Cell, Table

LONGEST = 8_000  # characters of all rows together


def rendered(table: Table, longest: int = LONGEST) -> tuple[str, int]:
    """The text, and how many of the rows are in it."""
    lines = [" | ".join(_flat(name) for name in table.columns)]
    left = longest
    for at, row in enumerate(table.rows):
        line = " | ".join(_cell(value, table.shortened.get((at, column))) for column, value in enumerate(row))
        left -= len(line) + 1
        if left < 0 and at:
            break
        lines.append(line if left >= 0 else f"{line[:longest]}…")
    shown = len(lines) - 1
    return "\n".join([*lines, _count(table, shown)]), shown


def _count(table: Table, shown: int) -> str:
    if table.cut:
        return f"[The first {shown:,} rows; there are more: aggregate, filter, or use LIMIT and OFFSET.]"
    if shown < len(table.rows):
        return f"[The first {shown:,} of {len(table.rows):,} rows: select fewer columns, or use LIMIT and OFFSET.]"
    return f"[{shown:,} row{'' if shown == 1 else 's'}]"


def _cell(value: Cell, length: int | None) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value)
        case int() | Decimal():
            return str(value)
        case bytes():
            text = f"x'{value[:32].hex()}{'…' if len(value) > 32 or length else ''}'"
            return text if length is None else f"{text} ({length:,} bytes)"
        case _:
            text = _flat(value)
            if length is not None:
                return f"{text}… ({length:,} characters)"
            return f"'{text}'" if text in ("", "NULL") else text


def _flat(text: str) -> str:
    """On one line, without control characters."""
    text = text.replace("\\", "\\\\") if "\n" in text else text
    text = text.replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return "".join(c if c.isprintable() or c == " " else "\ufffd" for c in text)
