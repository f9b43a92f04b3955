"""Answers that follow from what is written, and right ones that don't."""

import random

import pytest

from maieutic.in_box.curriculum import FULL
from maieutic.in_box.drafts import wrong_solution
from maieutic.in_box.families import draw, work
from maieutic.in_box.marking import first_slip
from maieutic.tasks.founded import unfounded

SUM = "State the final answer to the following arithmetic problem: 24 + 28 - 99 + 60 - 20 ="


@pytest.mark.parametrize(
    ("question", "text", "answer"),
    [
        ("4 + 3 - 5 =", "4 + 3 = 7\n7 - 5 = 2\nAnswer: 2", "2"),
        ("4 + 3 - 5 =", "4 + 3 - 5 = 2", "2"),
        ("4 + 0 =", "4 + 0 = 4", "4"),
        ("2 - 7 =", "2 - 7 = -5\nAnswer: -5", "-5"),
        ("-3 + 5 =", "-3 + 5 = 2", "2"),
        (
            "12 * 13",
            "10 * 10 = 100\n2 * 10 = 20\n10 * 3 = 30\n2 * 3 = 6\n100 + 20 = 120\n120 + 30 = 150\n150 + 6 = 156",
            "156",
        ),
        ("3 cats and 4 hens: how many legs?", "3 × 4 = 12 and 4 × 2 = 8.\n12 + 8 = 20", "20"),
    ],
)
def test_what_follows_from_its_steps_passes(question: str, text: str, answer: str) -> None:
    assert unfounded(question, text, answer) is None


@pytest.mark.parametrize(
    ("question", "text", "answer", "reason"),
    [
        ("4 + 0 - 1 =", "4 - 1 = 3\nAnswer: 3", "3", "not used"),  # a 0 that is left out
        ("4 + 5 - 5 =", "Answer: 4", "4", "no written step"),
        ("4 + 5 - 5 + 1 =", "4 + 1 = 5", "5", "not used"),  # two that cancel out
        ("28 + 13 - 1 =", "28 + 10 = 38\n38 + 3 = 42\n42 - 1 = 40", "40", "doesn't hold"),  # two errors that do
        ("28 + 13 - 1 =", "28 + 10 = 38\n39 + 3 = 42\n42 - 2 = 40", "40", "nowhere"),
        ("3 + 2 - 5 =", "3 - 2 = 1\n1 - 5 = -4", "0", "nowhere"),  # signs
        ("7 - 2 + 2 =", "7 + 2 = 9\n9 + 2 = 11\n11 - 4 = 7", "7", "nowhere"),
        ("4 + 3 - 5 =", "4 + 3 = 7\n7 - 5 = 2", "3", "not what the steps come to"),
        ("4 + 3 - 5 =", "4 + 3 = 7\n4 - 5 = -1\nAnswer: 2", "2", "nowhere"),
        ("4 + 3 =", "4 + 3 = 7\n3 + 4 = 7", "7", "nowhere"),  # used twice
        ("4 + 3 =", "x = 4 + 3\nAnswer: 7", "7", "can't be read"),
        ("4 + 3 =", "4 + 3 = 7 = 7", "7", "can't be read"),
        ("4 + 3 =", "4 + 3 = 7.5", "7.5", "can't be read"),
        ("4 + 3 =", "4 + 3 = 7", None, "not what the steps come to"),
        ("12 * 13", "10 * 10 = 100\n2 * 3 = 6\n100 + 56 = 156", "156", "nowhere"),
        ("3 cats and 2 snakes: how many legs?", "3 * 4 = 12", "12", "not used"),
        ("3 cats and 4 hens: how many legs?", "3 * 4 = 12\n4 * 2 = 8\n12 * 1 = 12", "12", "nowhere"),
    ],
)
def test_a_right_answer_without_its_steps_does_not(question: str, text: str, answer: str, reason: str) -> None:
    found = unfounded(question, text, answer)
    assert found is not None and reason in found


def test_every_worked_solution_passes_and_no_wrong_one_does_whatever_answer_it_gives() -> None:
    pytest.importorskip("reasoning_gym")
    rng = random.Random(9)
    passed = 0
    for level in (level for level in FULL if level.family in ("chain_sum", "leg_counting", "products")):
        for _ in range(20):
            problem = draw(level, "train", rng)
            right = work(problem)
            assert unfounded(problem.question, "\n".join(right), problem.answer) is None
            wrong = [*wrong_solution(problem, rng)[:-1], right[-1]]
            slip = first_slip(wrong, problem)
            legs = slip is not None and slip.kind == "confusing concept"  # how many legs there are is not written
            if slip is not None and slip.line < len(wrong) and not legs:
                assert unfounded(problem.question, "\n".join(wrong), problem.answer) is not None, wrong
                passed += 1
    assert passed > 100


def test_a_sum_of_some_length() -> None:
    lines = "24 + 20 = 44\n44 + 8 = 52\n52 - 90 = -38\n-38 - 9 = -47\n-47 + 60 = 13\n13 - 20 = -7\nAnswer: -7"
    assert unfounded(SUM, lines, "-7") is None
    assert unfounded(SUM, lines.replace("13 - 20", "13 + 0 = 13\n13 - 20"), "-7") == "a number from nowhere"
