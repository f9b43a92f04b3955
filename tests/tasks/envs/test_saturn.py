"""SATURN: any model is right, an answer has its length, and guessing gets what it is said to get."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.errors import TaskError
from maieutic.tasks.envs.saturn import UNSATISFIABLE, difficulty
from maieutic.tasks.guessing import guessing
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.types import Outcome


@pytest.mark.parametrize(
    ("n", "k", "length", "d", "rate"),
    [(3, 5, 5, 5.632, 0.512), (3, 5, 6, 6.159, 0.445), (3, 5, 13, 8.389, 0.173), (3, 5, 15, 8.802, 0.133),
     (3, 5, 20, 9.632, 0.077), (3, 7, 40, 12.785, 0.013), (5, 8, 40, 10.244, 0.277), (6, 7, 40, 8.618, 0.519)],
)  # fmt: skip
def test_difficulty_and_the_share_that_a_random_assignment_solves(
    n: int, k: int, length: int, d: float, rate: float
) -> None:
    assert difficulty(n, k, length) == pytest.approx(d, abs=5e-4)
    tasks = load_tasks(f"env:saturn?n=300&literals={n}&variables={k}&clauses={length}").tasks
    assert guessing(tasks).random == pytest.approx(rate, abs=0.02)
    assert tasks[0].metadata["difficulty"] == pytest.approx(d, abs=5e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.9]))
def test_the_chance_of_an_item_is_the_share_of_assignments_that_are_right(seed: int, share: float) -> None:
    task = load_tasks(f"env:saturn?n=1&seed={seed}&clauses=16&unsatisfiable={share}").tasks[0]
    answers = ["".join(bits) for bits in product("01", repeat=5)]
    right = sum(verify(task, f"Answer: {answer}").outcome is Outcome.CORRECT for answer in answers)
    assert right / 32 == task.metadata["chance"]
    assert (task.gold == UNSATISFIABLE) == (right == 0)
    assert (verify(task, "Answer: unsat").outcome is Outcome.CORRECT) == (right == 0)


CLAUSES = [[[0, False], [1, False]], [[2, True]]]  # !A!B & C
TASK = Task(question="?", gold="001", verifier="saturn", metadata={"instance": {"variables": 3, "clauses": CLAUSES}})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [("001", Outcome.CORRECT), ("1 0 1", Outcome.CORRECT), ("0, 1, 1", Outcome.CORRECT), ("000", Outcome.WRONG),
     ("111", Outcome.WRONG), ("unsatisfiable", Outcome.WRONG), ("", Outcome.UNPARSED), ("1", Outcome.FORMAT_ERROR),
     ("0010", Outcome.FORMAT_ERROR), ("002", Outcome.FORMAT_ERROR), ("A=0, B=0, C=1", Outcome.FORMAT_ERROR)],
)  # fmt: skip
def test_answers(answer: str, outcome: Outcome) -> None:
    assert verify(TASK, f"\\boxed{{{answer}}}").outcome is outcome


def test_settings_that_allow_no_formula_are_one_sentence() -> None:
    for query in ("literals=6&variables=5", "literals=5&variables=5&clauses=32", "clauses=7&unsatisfiable=0.5&n=20"):
        if "unsat" not in query:
            with pytest.raises(TaskError, match="makes nothing with literals="):
                load_tasks(f"env:saturn?{query}")
        else:  # too few clauses to leave no model: only the satisfiable ones come
            assert UNSATISFIABLE not in {task.gold for task in load_tasks(f"env:saturn?{query}").tasks}  # pyright: ignore[reportUnhashable]


def test_the_share_without_a_model_is_about_what_was_asked_for() -> None:
    tasks = load_tasks("env:saturn?level=4&n=300").tasks
    assert 0.13 < sum(task.gold == UNSATISFIABLE for task in tasks) / 300 < 0.27
