"""When results of SQL are the same, and the verifier that runs the queries."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maieutic.errors import TaskError
from maieutic.tasks.result_set import order_of, same_result
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.types import Outcome, Verdict
from tests.tools.sql.conftest import make_sqlite, need_sandbox

SAME: list[tuple[Any, Any]] = [
    ([(1, "a"), (2, "b")], [(2, "b"), (1, "a")]),
    ([(1, "a"), (1, "a")], [(1, "a"), (1, "a")]),
    ([(1, "a"), (2, "b")], [("b", 2), ("a", 1)]),  # columns in another order
    ([(1,)], [(1.0,)]),
    ([(Decimal("2.50"),)], [(2.5,)]),
    ([(0.1 + 0.2,)], [(0.3,)]),
    ([(1 / 3,), (2 / 3,)], [(0.66666666667,), (0.33333333333,)]),
    ([(None,)], [(None,)]),
    ([("2024-01-02",)], [("2024-01-02 00:00:00",)]),
    ([("2024-01-02T03:04:05",)], [("2024-01-02 03:04:05",)]),
    ([(float("nan"),)], [(float("nan"),)]),
    ([], []),
    ([(1.0, 2.0000000001), (1.0000000001, 1.0)], [(1.0, 1.0), (1.0, 2.0)]),  # sorting puts near rows apart
]
DIFFERENT: list[tuple[Any, Any]] = [
    ([(1,), (1,)], [(1,)]),
    ([(1,), (1,), (2,)], [(1,), (2,), (2,)]),
    ([(None,)], [(0,)]),
    ([(None,)], [("",)]),
    ([("5",)], [(5,)]),
    ([(True,)], [(1,)]),
    ([(1,)], [(1, 1)]),
    ([(1, 2), (3, 4)], [(1, 4), (3, 2)]),  # the values are paired otherwise
    ([("a", "b"), ("b", "c")], [("b", "a"), ("b", "c")]),
    ([(9007199254740993,)], [(9007199254740992,)]),
    ([(1.0,)], [(1.001,)]),
    ([("2024-01-02",)], [("2024-01-02 00:00:01",)]),
    ([(b"a",)], [("a",)]),
]


@pytest.mark.parametrize(("gold", "found"), SAME)
def test_the_same(gold: Any, found: Any) -> None:
    assert same_result(gold, found) and same_result(found, gold)


@pytest.mark.parametrize(("gold", "found"), DIFFERENT)
def test_different(gold: Any, found: Any) -> None:
    assert not same_result(gold, found) and not same_result(found, gold)


CELLS = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["a", "b", ""]), st.floats(-2, 2))


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=8), st.permutations(range(3)), st.randoms())
def test_neither_rows_nor_columns_have_an_order(rows: Any, places: Any, random: Any) -> None:
    other = [tuple(row[at] for at in places) for row in rows]
    random.shuffle(other)
    assert same_result(rows, other)
    if rows:
        assert not same_result(rows, other[1:])
        assert not same_result(rows, [("new", *other[0][1:]), *other[1:]])


def test_order_counts_where_the_gold_orders_and_ties_are_free() -> None:
    gold = [("a", 3), ("b", 2), ("c", 2), ("d", 1)]
    tied = [("a", 3), ("c", 2), ("b", 2), ("d", 1)]
    assert same_result(gold, tied, order=[1])
    assert not same_result(gold, tied, order=[])
    assert not same_result(gold, [gold[1], gold[0], *gold[2:]], order=[1])
    assert same_result(gold, [(n, name) for name, n in tied], order=[1])


def test_a_tolerance_may_be_asked_for() -> None:
    assert same_result([(100,)], [(101,)], tolerance=0.02) and not same_result([(100,)], [(103,)], tolerance=0.02)


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("SELECT a, b FROM t", None),
        ("SELECT a, b FROM (SELECT * FROM t ORDER BY a) x", None),
        ("SELECT a, b FROM t ORDER BY b DESC", [1]),
        ("SELECT a, count(*) AS n FROM t GROUP BY a ORDER BY count(*), a", [1, 0]),
        ("SELECT a AS x, b FROM t ORDER BY 2, a", [1, 0]),
        ("SELECT a, b FROM t ORDER BY c", []),
        ("SELECT * FROM t ORDER BY B", [1]),
        ("SELECT a, b FROM t UNION SELECT c, d FROM u ORDER BY 1", [0]),
    ],
)
def test_what_a_query_is_ordered_by(query: str, order: list[int] | None) -> None:
    pytest.importorskip("sqlglot", reason="sqlglot is not installed, so what a query is ordered by is NOT checked")
    assert order_of(query, "sqlite", ["x" if "AS x" in query else "a", "n" if "AS n" in query else "b"]) == order


@pytest.fixture
async def task(tmp_path: Path) -> Task:
    await need_sandbox()
    pytest.importorskip("sqlglot", reason="sqlglot is not installed, so the verifier sql is NOT checked")
    path = make_sqlite(tmp_path / "shop.sqlite")
    gold = "SELECT name, sum(total) FROM customers JOIN orders ON customer_id = customers.id GROUP BY name ORDER BY 2"
    return Task(question="Who paid what?", inputs={"database": str(path)}, gold=gold, verifier="sql")


def verdict(task: Task, answer: str) -> Verdict:
    return verify(task, f"I looked.\n\nAnswer:\n```sql\n{answer}\n```")


async def test_queries_are_compared_by_what_they_bring(task: Task) -> None:
    right = "SELECT sum(total) AS paid, name FROM orders o, customers c WHERE c.id = customer_id GROUP BY 2 ORDER BY 1"
    assert verdict(task, right).outcome is Outcome.CORRECT
    assert verdict(task, f"{right} DESC").outcome is Outcome.WRONG
    assert verdict(task, "SELECT name, 1 FROM customers").outcome is Outcome.WRONG
    failed = verdict(task, "SELECT nam FROM customers")
    assert (failed.outcome, failed.score) == (Outcome.WRONG, 0.0) and "no such column: nam" in failed.reason
    assert verdict(task, "DROP TABLE customers").outcome is Outcome.FORMAT_ERROR
    assert verdict(task, "SELECT 1; SELECT 2").outcome is Outcome.FORMAT_ERROR
    assert verify(task, "Ada paid most.").outcome is Outcome.UNPARSED


async def test_the_gold_may_be_a_result(task: Task) -> None:
    for gold in (3, [3], [[3]], {"rows": [[3]]}):
        assert verdict(task.model_copy(update={"gold": gold}), "SELECT count(*) FROM customers").score == 1
    names = task.model_copy(update={"gold": {"rows": ["Sofja", "Emmy", "Ada"], "ordered": True}})
    assert verdict(names, "SELECT name FROM customers ORDER BY name DESC").outcome is Outcome.CORRECT
    assert verdict(names, "SELECT name FROM customers ORDER BY name").outcome is Outcome.WRONG


async def test_a_task_that_cannot_be_checked_says_so(task: Task) -> None:
    for changed, said in (
        ({"inputs": {}}, "names no database"),
        ({"gold": "SELECT nope"}, "gold query"),
        ({"gold": {"row": 1}}, "must be a query"),
    ):
        with pytest.raises(TaskError, match=said):
            verdict(task.model_copy(update=changed), "SELECT 1")
