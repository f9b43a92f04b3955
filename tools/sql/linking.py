"""Which part of a large schema a question is about: tables and columns ranked by the words they share with it.

Names, comments and sample values count, rare words more than common ones. Tables that join two chosen ones come along,
and keys are never left out, since without them nothing can be joined.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable

from maieutic.tools.sql.schema import Column, Schema, TableInfo, describe

WIDE = 30  # columns from which on a table is shown in part
_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+|\d+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")
_COMMON = frozenset(
    "a an the of in on for to by with and or is are was were be what which who whom whose how many much do does did "
    "all any each every list show give find name names from at as than that this it its there have has had id".split()
)


def words(text: str) -> set[str]:
    """The words of a text or a name, in lower case, without their endings for number."""
    found = (word.lower() for part in _HUMP.split(text) for word in _WORD.findall(part))
    return {_stem(word) for word in found if word not in _COMMON and (len(word) > 1 or word.isdigit())}


def linked(schema: Schema, question: str, limit: int) -> str:
    """The tables that a question is most likely about, in words, at most about `limit` characters of them."""
    asked = words(question)
    scores = _scores(schema, asked)
    ranked = sorted(schema.tables, key=lambda table: -scores[table.name])
    chosen: list[TableInfo] = []
    shown: dict[str, frozenset[str]] = {}
    used = 0
    for table in ranked:
        if scores[table.name] <= 0 and chosen:
            break
        used += _add(table, asked, chosen, shown, limit - used)
    for table in _bridges(schema, chosen):
        used += _add(table, asked, chosen, shown, limit - used)
    ordered = [table for table in schema.tables if table in chosen]
    text = describe(ordered, shown)
    rest = [table.name for table in ranked if table not in chosen]
    return f"{text}\n{_others(rest)}" if rest else text


def _add(
    table: TableInfo, asked: set[str], chosen: list[TableInfo], shown: dict[str, frozenset[str]], room: int
) -> int:
    columns = columns_for(table, asked)
    size = len(describe([table], {} if columns is None else {table.name: columns}))
    if size > room and chosen:
        return 0
    chosen.append(table)
    if columns is not None:
        shown[table.name] = columns
    return size


def columns_for(table: TableInfo, asked: set[str]) -> frozenset[str] | None:
    """The columns of a wide table that are shown: keys, those that share a word, and the first ones."""
    if len(table.columns) <= WIDE:
        return None
    keys = [column.name for column in table.columns if column.primary or column.refers]
    shared = [column.name for column in table.columns if asked & _column_words(column)]
    first = [column.name for column in table.columns]
    return frozenset(list(dict.fromkeys([*keys, *shared, *first]))[: max(WIDE, len(keys))])


def _scores(schema: Schema, asked: set[str]) -> dict[str, float]:
    held = {table.name: (words(table.name), _inner_words(table)) for table in schema.tables}
    spread = Counter(word for named, inner in held.values() for word in named | inner)
    weight = {word: math.log(1 + len(held) / count) for word, count in spread.items()}
    return {
        name: 3 * sum(weight[word] for word in asked & named) + sum(weight[word] for word in asked & inner)
        for name, (named, inner) in held.items()
    }


def _inner_words(table: TableInfo) -> set[str]:
    found = words(table.comment or "")
    for column in table.columns:
        found |= _column_words(column)
    return found


def _column_words(column: Column) -> set[str]:
    samples = " ".join(sample for sample in column.samples if sample.startswith("'"))
    return words(column.name) | words(column.comment or "") | words(samples)


def _bridges(schema: Schema, chosen: list[TableInfo]) -> Iterable[TableInfo]:
    """Tables that refer to two chosen ones, or that a chosen one refers to."""
    names = {table.name for table in chosen}
    targets = {target for table in chosen for target in _targets(schema, table)}
    for table in schema.tables:
        if table.name not in names and (table.name in targets or len(_targets(schema, table) & names) >= 2):
            yield table


def _targets(schema: Schema, table: TableInfo) -> set[str]:
    found = (schema.table(c.refers.rpartition(".")[0]) for c in table.columns if c.refers)
    return {target.name for target in found if target is not None}


def _others(names: list[str], most: int = 100) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"Other tables: {', '.join(names[:most])}{more}"


def _stem(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
