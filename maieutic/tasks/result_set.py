"""When two results of SQL queries are the same result, and the verifier `sql`, which runs queries to find out.

Rows are compared as a multiset, and in order only where the gold query orders them; rows that its ORDER BY leaves tied
may change places. Names of columns don't matter, and neither does the order of columns. Numbers are compared by value,
whatever their type; NULL is only itself; dates are their ISO text, midnight the same as its day; true is not 1.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from maieutic.errors import MissingExtra, TaskError
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verifier
from maieutic.types import Outcome, Verdict

TOLERANCE = 1e-7  # relative, where at least one of two numbers is a float
MOST_MAPPINGS = 200  # ways to pair the columns that are tried
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[ T]00:00(:00(\.0+)?)?")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d.*)")

Row = Sequence[Any]
Keyed = tuple[tuple[Hashable, ...], tuple[Any, ...]]


def same_result(
    gold: Sequence[Row], found: Sequence[Row], *, order: Sequence[int] | None = None, tolerance: float | None = None
) -> bool:
    """Whether two lists of rows are the same result.

    `order` says that the gold rows are ordered, by which of their columns; where it is empty, by something that is not
    among them, so that every row has its place. `tolerance` is relative; without it exact numbers must be equal.
    """
    if len(gold) != len(found):
        return False
    if not gold:
        return True
    if len(gold[0]) != len(found[0]):
        return False
    gold_rows, found_rows = [_keyed(row) for row in gold], [_keyed(row) for row in found]
    chunks = _chunks(gold_rows, order)
    for mapping in _mappings(gold_rows, found_rows):
        placed = [_placed(row, mapping) for row in found_rows]
        if all(_same_multiset(gold_rows[a:b], placed[a:b], tolerance) for a, b in chunks):
            return True
    return False


def _keyed(row: Row) -> Keyed:
    """Each cell as something to look up, and the numbers, which are compared one by one."""
    return tuple(_key(cell) for cell in row), tuple(cell if _is_number(cell) else 0 for cell in row)


def _placed(row: Keyed, mapping: Sequence[int]) -> Keyed:
    return tuple(row[0][at] for at in mapping), tuple(row[1][at] for at in mapping)


def _is_number(cell: Any) -> bool:
    if isinstance(cell, bool) or not isinstance(cell, int | float | Decimal):
        return False
    return not (isinstance(cell, float | Decimal) and math.isnan(cell))


def _key(cell: Any) -> Hashable:
    if _is_number(cell):
        return "number"
    match cell:
        case None | bool() | bytes():
            return (type(cell).__name__, cell)
        case str():
            return ("text", _day(cell))
        case float() | Decimal():
            return "nan"
        case _:
            return ("other", str(cell))


def _day(text: str) -> str:
    if match := _MIDNIGHT.fullmatch(text):
        return match[1]
    if match := _MOMENT.fullmatch(text):
        return f"{match[1]} {match[2]}"
    return text


def _chunks(rows: Sequence[Keyed], order: Sequence[int] | None) -> list[tuple[int, int]]:
    """The stretches of rows within which their order doesn't matter."""
    if order is None:
        return [(0, len(rows))]
    if not order:
        return [(at, at + 1) for at in range(len(rows))]
    keys = [tuple((row[0][at], row[1][at]) for at in order) for row in rows]
    starts = [at for at in range(len(rows)) if at == 0 or keys[at] != keys[at - 1]]
    return list(zip(starts, [*starts[1:], len(rows)], strict=True))


def _mappings(gold: Sequence[Keyed], found: Sequence[Keyed]) -> Iterator[tuple[int, ...]]:
    """Ways to pair the columns, as they stand first, then all in which the columns hold the same keys."""
    width = len(gold[0][0])
    yield tuple(range(width))
    of_gold, of_found = _signatures(gold), _signatures(found)
    candidates = [[at for at in range(width) if of_found[at] == signature] for signature in of_gold]
    tried = 0
    for mapping in _pairings(candidates, ()):
        if mapping != tuple(range(width)):
            yield mapping
        tried += 1
        if tried >= MOST_MAPPINGS:
            return


def _pairings(candidates: Sequence[Sequence[int]], chosen: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if len(chosen) == len(candidates):
        yield chosen
        return
    for at in candidates[len(chosen)]:
        if at not in chosen:
            yield from _pairings(candidates, (*chosen, at))


def _signatures(rows: Sequence[Keyed]) -> list[Counter[Hashable]]:
    return [Counter(row[0][at] for row in rows) for at in range(len(rows[0][0]))]


def _same_multiset(gold: Sequence[Keyed], found: Sequence[Keyed], tolerance: float | None) -> bool:
    if len(gold) == 1:
        return gold[0][0] == found[0][0] and _near(gold[0][1], found[0][1], tolerance)
    buckets: defaultdict[tuple[Hashable, ...], tuple[list[Any], list[Any]]] = defaultdict(lambda: ([], []))
    for key, numbers in gold:
        buckets[key][0].append(numbers)
    for key, numbers in found:
        buckets[key][1].append(numbers)
    return all(_same_numbers(sorted(a), sorted(b), tolerance) for a, b in buckets.values())


def _same_numbers(gold: list[Any], found: list[Any], tolerance: float | None) -> bool:
    """Whether rows of numbers, sorted, can be paired."""
    if len(gold) != len(found):
        return False
    left = [b for a, b in zip(gold, found, strict=True) if not _near(a, b, tolerance)]
    missing = [a for a, b in zip(gold, found, strict=True) if not _near(a, b, tolerance)]
    for numbers in missing[:500]:  # sorting may have put near ones apart
        match = next((at for at, other in enumerate(left) if _near(numbers, other, tolerance)), None)
        if match is None:
            return False
        left.pop(match)
    return not left


def _near(gold: Sequence[Any], found: Sequence[Any], tolerance: float | None) -> bool:
    return all(_equal(a, b, tolerance) for a, b in zip(gold, found, strict=True))


def _equal(a: Any, b: Any, tolerance: float | None) -> bool:
    if a == b:
        return True
    if tolerance is None and not isinstance(a, float) and not isinstance(b, float):
        return False
    try:
        return math.isclose(float(a), float(b), rel_tol=tolerance or TOLERANCE, abs_tol=1e-12)
    except OverflowError:
        return False


def order_of(query: str, dialect: str, columns: Sequence[str]) -> list[int] | None:
    """The columns of the result that a query is ordered by; empty where they are not in it, None where it isn't."""
    try:
        import sqlglot
        from sqlglot.errors import SqlglotError
    except ImportError as error:
        raise MissingExtra("The verifier sql", "sql") from error
    try:
        tree = sqlglot.parse_one(query, read=dialect)
    except SqlglotError:
        return [] if re.search(r"\border\s+by\b[^()]*\Z", query, re.IGNORECASE) else None
    order = tree.args.get("order")
    if order is None:
        return None
    places = [_place(one.this, tree, columns) for one in order.expressions]
    return [] if None in places else [place for place in places if place is not None]


def _place(ordered: Any, tree: Any, columns: Sequence[str]) -> int | None:
    """Which column of the result an expression of ORDER BY is."""
    if ordered.is_int:
        return int(ordered.name) - 1 if 1 <= int(ordered.name) <= len(columns) else None
    selected = [one.alias_or_name.casefold() for one in tree.selects]
    if not tree.is_star and len(selected) == len(columns):
        same = [at for at, one in enumerate(tree.selects) if one.unalias().sql() == ordered.sql()]
        if same:
            return same[0]
    name = ordered.name.casefold() if type(ordered).__name__ == "Column" else None
    names = [column.casefold() for column in columns]
    return names.index(name) if name is not None and names.count(name) == 1 else None


def _gold_rows(task: Task) -> tuple[list[list[Any]], list[int] | None]:
    """A gold answer that is a result: rows, a column of values, a single value, or {"rows": …, "ordered": true}."""
    gold: Any = task.gold
    order: list[int] | None = None
    if isinstance(gold, dict):
        order = [] if gold.get("ordered") else None
        gold = gold.get("rows")
        if not isinstance(gold, list):
            raise TaskError(f'The gold answer of task {task.id!r} must be a query, rows, or an object with "rows".')
    if not isinstance(gold, list):
        gold = [gold]
    return [row if isinstance(row, list) else [row] for row in gold], order


def sql(task: Task, answer: str) -> bool | Verdict:
    """The answer is a query; its result over `inputs["database"]` is compared with that of the gold query, or with the
    gold rows. A query that fails is wrong, one that takes too long is not scored."""
    database = task.inputs.get("database")
    if not isinstance(database, str):
        raise TaskError(f'Task {task.id!r} names no database: give it inputs {{"database": PATH}}.')
    if task.gold is None:
        raise TaskError(f"Task {task.id!r} has no gold answer to check against.")
    queries = [answer, task.gold] if isinstance(task.gold, str) else [answer]
    from maieutic.tools.sql.asking import ask_all

    dialect, results = ask_all(database, queries)
    if isinstance(results[0], Exception):
        return _unanswered(task, results[0])
    gold: Sequence[Row]
    if isinstance(task.gold, str):
        gold_table = results[1]
        if isinstance(gold_table, Exception):
            return _no_gold(task, gold_table)
        if gold_table.cut or gold_table.shortened:
            return Verdict(Outcome.TOOL_ERROR, None, reason="the gold result is too large to be compared")
        gold, order = gold_table.rows, order_of(task.gold, dialect, gold_table.columns)
    else:
        gold, order = _gold_rows(task)
    found = results[0]
    if found.cut or found.shortened:
        return Verdict(Outcome.WRONG, 0.0, reason="the result is larger than can be compared")
    return same_result(gold, found.rows, order=order, tolerance=task.tolerance)


def _unanswered(task: Task, error: Any) -> Verdict:
    message = " ".join(str(error).split())[:300]
    match error.kind:
        case "refused" | "several" | "empty":
            return Verdict(Outcome.FORMAT_ERROR, None, reason=f"not a query: {message}")
        case "timeout":
            return Verdict(Outcome.TIMEOUT, None, reason=message)
        case "unopened":
            raise TaskError(f"The database of task {task.id!r} can't be used: {message}")
        case _:
            return Verdict(Outcome.WRONG, 0.0, reason=f"the query failed: {message}")


def _no_gold(task: Task, error: Any) -> Verdict:
    message = " ".join(str(error).split())[:300]
    if error.kind in ("timeout", "memory", "died"):
        return Verdict(Outcome.TOOL_ERROR, None, reason=f"the gold query: {message}")
    raise TaskError(f"The gold query of task {task.id!r} fails: {message}")


verifier("sql", answer_type="text")(sql)
