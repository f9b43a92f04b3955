"""What every generated environment has to keep: its own gold is right, the same request brings the same items, nothing
of the gold is shown, and its answers are told from what is no answer."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.errors import TaskError, UserError
from maieutic.tasks.environment import environment_names
from maieutic.tasks.generated import about
from maieutic.tasks.guessing import answer_text
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.types import Outcome
from tests.support import environments

NEED_A_SANDBOX = ("text_to_sql",)  # their checks run queries; their own tests ask for the sandbox
LEVELS = [
    (name, level)
    for name in environment_names()
    if (known := about(name)) is not None and not name.startswith("test-")
    for level in range(1, len(known.levels) + 1)
]


def drawn(name: str, level: int, n: int = 4, seed: int = 0) -> list[Task]:
    pytest.importorskip("networkx" if name == "graph_problem" else "json", reason="networkx is not installed")
    return load_tasks(f"env:{name}?level={level}&n={n}&seed={seed}").tasks


def flat(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize(("name", "level"), LEVELS)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_its_own_gold_is_right_and_chances_are_chances(name: str, level: int, seed: int) -> None:
    for task in drawn(name, level, seed=seed):
        assert task.metadata["chance"] is None or 0 <= task.metadata["chance"] <= 1  # pyright: ignore[reportOperatorIssue]
        if name not in NEED_A_SANDBOX:
            verdict = verify(task, f"I thought about it.\n\nAnswer: {answer_text(task)}")
            assert (verdict.outcome, verdict.score) == (Outcome.CORRECT, 1.0), (task.question, task.gold, verdict)


@pytest.mark.parametrize(("name", "level"), LEVELS)
def test_the_same_request_brings_the_same_items_and_another_seed_others(name: str, level: int) -> None:
    assert drawn(name, level) == drawn(name, level)
    assert {t.question for t in drawn(name, level)} != {t.question for t in drawn(name, level, seed=1)}
    assert len({t.id for t in [*drawn(name, level), *drawn(name, level, seed=1)]}) == 8


@pytest.mark.parametrize(("name", "level"), LEVELS)
def test_an_agent_sees_neither_gold_nor_how_it_was_made(name: str, level: int) -> None:
    for task in drawn(name, level):
        shown = json.dumps(task.public(), ensure_ascii=False)
        assert len(answer_text(task)) < 14 or answer_text(task) not in task.question
        assert not task.metadata["instance"] or flat(task.metadata["instance"]) not in shown
        assert "difficulty" not in shown
        assert task.public()["question"] == task.question and set(task.public()["inputs"]) <= {"database"}


@pytest.mark.parametrize("name", sorted({name for name, _ in LEVELS} - set(NEED_A_SANDBOX)))
@pytest.mark.parametrize(
    "text", ["", "I see.", "Answer: ", "Answer: [", "Answer: perhaps", "\\boxed{}", "Answer: I don't know"]
)
def test_what_is_no_answer_is_not_right(name: str, text: str) -> None:
    for task in drawn(name, 1):
        verdict = verify(task, text)
        assert verdict.outcome not in (Outcome.CORRECT, Outcome.TOOL_ERROR), (task.question, verdict)


@pytest.mark.parametrize("name", sorted({name for name, _ in LEVELS}))
def test_settings_that_it_does_not_have_are_refused_in_one_sentence(name: str) -> None:
    for query in ("nonsense=1", "level=0", "level=99", "level=x", "level=²"):
        with pytest.raises(TaskError, match=r"there is no setting|there are levels 1 to"):
            load_tasks(f"env:{name}?{query}")
    with pytest.raises(UserError, match="There is no kind"):
        load_tasks(f"env:{name}/nonsense")


@pytest.mark.parametrize("name", sorted({name for name, _ in LEVELS} - set(NEED_A_SANDBOX)))
def test_a_task_from_elsewhere_is_refused_or_judged_by_its_gold_alone(name: str) -> None:
    task = drawn(name, 1)[0]
    bare = Task(question="?", gold=task.gold, verifier=task.verifier, answer_type=task.answer_type)
    try:
        assert verify(bare, f"Answer: {answer_text(task)}").outcome is Outcome.CORRECT
    except TaskError as error:
        assert "make it again" in str(error)


def test_the_table_in_the_docs_is_up_to_date() -> None:
    page = environments.PAGE.read_text()
    assert environments.written(page) == page, "run `make rooms`"
