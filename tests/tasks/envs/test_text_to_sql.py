"""Text-to-SQL: the data tell the gold query from near misses, and no query is needed to know what is asked."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maieutic.tasks.databases import SUBJECTS, filled, schema, stored
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.types import Outcome
from tests.tools.sql.conftest import need_sandbox


def drawn(level: int, n: int, seed: int = 0, more: str = "") -> list[Task]:
    return load_tasks(f"env:text_to_sql?level={level}&n={n}&seed={seed}{more}").tasks


def near(task: Task) -> list[str]:
    instance: Any = task.metadata["instance"]
    return list(instance["near"])


def rows(task: Task, query: str) -> list[Any]:
    connection = sqlite3.connect(str(task.inputs["database"]))
    try:
        found = connection.execute(query).fetchall()
    finally:
        connection.close()
    return found if "ORDER BY" in query else sorted(found, key=repr)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), level=st.integers(1, 4))
def test_the_gold_brings_something_and_near_misses_something_else(seed: int, level: int) -> None:
    task = drawn(level, 1, seed)[0]
    gold = rows(task, str(task.gold))
    assert gold and all(value is not None for row in gold for value in row)
    assert len(near(task)) >= 2 and all(rows(task, query) != gold for query in near(task))
    assert str(task.gold) not in task.question and not any(query in task.question for query in near(task))


async def test_the_verifier_agrees() -> None:
    await need_sandbox()
    pytest.importorskip("sqlglot", reason="sqlglot is not installed, so text-to-SQL is NOT checked")
    for level in (1, 2, 3, 4):
        for task in drawn(level, 2):
            assert verify(task, f"So:\n\nAnswer:\n```sql\n{task.gold}\n```").outcome is Outcome.CORRECT
            assert verify(task, f"Answer: {near(task)[0]}").outcome is Outcome.WRONG
            assert verify(task, "Answer: SELECT nothing FROM nowhere").outcome is Outcome.WRONG


def test_databases_are_the_same_file_for_the_same_request_and_are_not_written_again(tmp_path: Path) -> None:
    first = stored(SUBJECTS[0], 1, 40, tmp_path)
    before = first.stat().st_mtime_ns
    assert stored(SUBJECTS[0], 1, 40, tmp_path) == first and first.stat().st_mtime_ns == before
    assert stored(SUBJECTS[0], 2, 40, tmp_path) != first and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
@pytest.mark.parametrize("size", [20, 120])
def test_every_row_belongs_somewhere_and_somewhere_has_none(subject: Any, size: int) -> None:
    connection = filled(subject, 0, size)
    parent, child = subject.parent.name, subject.child.name
    orphans = f"SELECT count(*) FROM {child} WHERE {subject.link} NOT IN (SELECT id FROM {parent})"
    idle = f"SELECT count(*) FROM {parent} WHERE id NOT IN (SELECT {subject.link} FROM {child})"
    assert connection.execute(f"SELECT count(*) FROM {child}").fetchone() == (size,)
    assert connection.execute(orphans).fetchone() == (0,) and connection.execute(idle).fetchone()[0] >= 1
    connection.close()


def test_the_tables_are_shown_or_have_to_be_looked_up() -> None:
    shown, hidden = drawn(3, 1)[0], drawn(3, 1, more="&tables=false")[0]
    assert "CREATE TABLE" in shown.question and any(schema(subject) in shown.question for subject in SUBJECTS)
    assert "CREATE TABLE" not in hidden.question and "database" in hidden.public()["inputs"]
    assert "near" not in json.dumps(hidden.public()["inputs"])
