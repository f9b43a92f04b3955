"""Knights and knaves: what is said decides, and one assignment fits."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.tasks.envs.knights import holds, solutions
from maieutic.tasks.rewards.parts import Scored
from maieutic.tasks.rewards.preference import trpa
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.types import Outcome


def worded(names: list[str], truth: list[bool]) -> str:
    return ", ".join(
        f"{name} is a {'knight' if honest else 'knave'}" for name, honest in zip(names, truth, strict=True)
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_exactly_one_of_all_assignments_is_right(seed: int, people: int) -> None:
    task = load_tasks(f"env:knights?n=1&seed={seed}&people={people}&claims=3").tasks[0]
    names = task.metadata["instance"]["names"]  # type: ignore[index,call-overload]
    answers = [worded(names, list(row)) for row in product((True, False), repeat=people)]  # pyright: ignore[reportArgumentType]
    right = [answer for answer in answers if verify(task, f"Answer: {answer}").outcome is Outcome.CORRECT]
    assert right == [task.gold]


@pytest.mark.parametrize(
    ("claim", "truth"),
    [(["or", ["knight", 0], ["knight", 1]], True), (["and", ["knight", 0], ["knight", 1]], False),
     (["if", ["knight", 1], ["knave", 0]], True), (["if", ["knight", 0], ["knight", 1]], False),
     (["iff", ["knave", 0], ["knight", 1]], True), (["exactly", 1], True), (["exactly", 2], False),
     (["least", 1], True), (["least", 2], False)],
)  # fmt: skip
def test_what_claims_mean(claim: list[object], truth: bool) -> None:
    assert holds(claim, [True, False]) is truth


def test_a_liars_paradox_has_no_solution_and_a_pair_that_agrees_two() -> None:
    assert solutions([["knave", 0]]) == []
    assert solutions([["knight", 1], ["knight", 0]]) == [[True, True], [False, False]]


CLAIMS = [["knave", 1], ["and", ["knave", 0], ["knave", 1]]]
TASK = Task(
    question="Who is what?", gold="Ada is a knight, Bo is a knave", answer_type="set", verifier="knights",
    metadata={"instance": {"names": ["Ada", "Bo"], "claims": CLAIMS}},  # pyright: ignore[reportArgumentType]
)  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "outcome", "reward"),
    [
        ("Ada is a knight, Bo is a knave", Outcome.CORRECT, 3),
        ("bo: KNAVE and ada: knight", Outcome.CORRECT, 3),
        ("Ada is a knave, Bo is a knight", Outcome.WRONG, -0.5),
        ("Ada is a knight", Outcome.UNPARSED, -1),
        ("Ada is a knight, Ada is a knave, Bo is a knave", Outcome.FORMAT_ERROR, -3),
        ("Ada is a knight, Bo is not a knight", Outcome.FORMAT_ERROR, -3),
        ("Ada is a knight, Bo is a knave, Cy is a knave", Outcome.FORMAT_ERROR, -3),
    ],
)
def test_answers_and_what_they_are_worth(answer: str, outcome: Outcome, reward: float) -> None:
    verdict = verify(TASK, f"Answer: {answer}")
    assert verdict.outcome is outcome
    assert trpa(Scored(f"Answer: {answer}", 10, verdict.outcome)) == reward
