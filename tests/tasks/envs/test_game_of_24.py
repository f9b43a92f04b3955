"""The game of 24: the value is compared with the target, and the numbers with those that were given."""

import pytest

from maieutic.tasks.arithmetic import work_out
from maieutic.tasks.envs.game_of_24 import solve
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.types import Outcome

TASK = Task(
    question="?", gold="(8 - 4) * (6 * 1)", verifier="game_of_24",
    metadata={"instance": {"numbers": [4, 6, 8, 1], "target": 24, "operations": "+-*/"}},
)  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("(8 - 4) * 6 * 1", Outcome.CORRECT),
        ("(8 - 4) × 6 ÷ 1 = 24", Outcome.CORRECT),
        (r"$(8-4) \times 6 \cdot 1$", Outcome.CORRECT),
        ("4 + 6 + 8 + 1", Outcome.WRONG),  # the released verifier took any expression over the numbers
        ("4 * 6", Outcome.WRONG),
        ("4 * 6 * 1 * 1", Outcome.WRONG),
        ("8 * 6 / 4 * 1 + 6 + 6", Outcome.WRONG),
        ("(8 - 4) * 6 * 1 = 25", Outcome.WRONG),
        ("(8 - 4) * 6 ** 1", Outcome.FORMAT_ERROR),
        ("48 // 16", Outcome.FORMAT_ERROR),
        ("24", Outcome.WRONG),
        ("__import__('os')", Outcome.FORMAT_ERROR),
        ("6 * 4 / (8 - 8) + 1", Outcome.FORMAT_ERROR),
    ],
)
def test_answers(answer: str, outcome: Outcome) -> None:
    assert verify(TASK, f"Answer: {answer}").outcome is outcome


def test_operations_that_are_not_allowed_are_wrong() -> None:
    instance = {"numbers": [4, 6, 8, 1], "target": 24, "operations": "+-*"}
    task = TASK.model_copy(update={"metadata": {"instance": instance}})
    assert verify(task, "Answer: (8 - 4) * 6 * 1").outcome is Outcome.CORRECT
    assert verify(task, "Answer: (8 - 4) * 6 / 1").outcome is Outcome.WRONG


def test_the_solver_finds_what_needs_brackets_and_fractions() -> None:
    found = solve([3, 3, 8, 8], 24, "+-*/")  # 8 / (3 - 8/3): no order from left to right gives it
    worked = work_out(found or "")
    assert worked is not None and worked.value == 24 and sorted(worked.numbers) == [3, 3, 8, 8]
    assert solve([1, 1, 1, 1], 24, "+-*/") is None


@pytest.mark.parametrize(
    "text", ["2 ** 3", "7 // 2", "1 2", "2.5", "x", "", "()", "(" * 500, "9" * 500, "1/0", "5 + +"]
)
def test_what_is_no_arithmetic_is_not_worked_out(text: str) -> None:
    assert work_out(text) is None
