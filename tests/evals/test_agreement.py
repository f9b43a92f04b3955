"""Agreement among samples as a confidence."""

import pytest

from maieutic.evals.agreement import agreement
from maieutic.evals.items import Attempt
from maieutic.types import Outcome


def attempt(task: str, sample: int, answer: str | None, right: bool = False) -> Attempt:
    outcome = Outcome.CORRECT if right else Outcome.UNPARSED if answer is None else Outcome.WRONG
    return Attempt(task, sample, outcome, answer, 1, 1, 0.0, None, f"{task}-{sample}")


def test_the_others_are_counted_and_not_the_answer_itself() -> None:
    attempts = [attempt("a", 0, "4", True), attempt("a", 1, "4.0", True), attempt("a", 2, "5")]
    found = agreement(attempts, {"a": "number"})
    assert found is not None
    # Two right ones with one of two others on their side, a wrong one with none: errors of 1/2, 1/2 and 0.
    assert found.error.estimate == pytest.approx(1 / 3)
    assert found.error.n == 3
    assert found.separation == 1.0


def test_sure_and_wrong_is_the_worst() -> None:
    found = agreement([attempt("a", i, "5") for i in range(4)], {"a": "number"})
    assert found is not None
    assert found.error.estimate == 1.0
    assert found.separation is None


def test_what_cant_be_read_has_no_confidence_and_agrees_with_nothing() -> None:
    attempts = [attempt("a", 0, "4", True), attempt("a", 1, None), attempt("a", 2, None)]
    found = agreement(attempts, {"a": "number"})
    assert found is not None
    assert found.error.n == 1
    assert found.error.estimate == 1.0  # right, and nobody else said so


def test_one_sample_tells_nothing() -> None:
    assert agreement([attempt("a", 0, "4", True)], {"a": "number"}) is None
