"""Random arithmetic: the gold is exact, and the reward falls with the distance."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.tasks.envs.random_calculation import nearness
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.types import Outcome


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20))
def test_the_gold_is_what_the_expression_comes_to(seed: int, steps: int) -> None:
    sympy = pytest.importorskip("sympy")
    task = load_tasks(f"env:random_calculation?n=1&seed={seed}&steps={steps}").tasks[0]
    expression = task.question.removeprefix("Work out: ").partition("\n")[0]
    assert sympy.Rational(task.gold) == sympy.sympify(expression.replace("^", "**"), rational=True)
    leaves = expression.replace("^", "").count  # fractions bring a "/" of their own, without spaces
    assert leaves(" + ") + leaves(" - ") + leaves(" * ") + leaves(" / ") == steps


TASK = Task(question="?", gold="225/2", answer_type="number", verifier="random_calculation")


@pytest.mark.parametrize(
    ("answer", "outcome", "score"),
    [("225/2", Outcome.CORRECT, 1), ("112.5", Outcome.CORRECT, 1), ("112.5001", Outcome.WRONG, None),
     ("113", Outcome.WRONG, 1 - 0.25 - 0.5 * 0.5 / 112.5), ("0", Outcome.WRONG, 0), ("-225/2", Outcome.WRONG, 0),
     ("about 112", Outcome.FORMAT_ERROR, None)],
)  # fmt: skip
def test_what_answers_are_worth(answer: str, outcome: Outcome, score: float | None) -> None:
    verdict = verify(TASK, f"Answer: {answer}")
    assert verdict.outcome is outcome
    if score is not None:
        assert verdict.score == pytest.approx(score, abs=1e-6)


def test_an_answer_that_is_very_near_is_still_wrong() -> None:
    verdict = verify(TASK, "Answer: 112.50000000000000001")
    assert verdict.outcome is Outcome.WRONG and verdict.score is not None and 0.99 < verdict.score < 1


def test_nearness_at_zero_and_far_away() -> None:
    assert nearness(Fraction(1, 2), Fraction(0)) == pytest.approx(0.25)  # the relative distance is at its bound
    assert nearness(Fraction(10**30), Fraction(1)) == 0
