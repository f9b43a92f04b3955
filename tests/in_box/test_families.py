"""Worked solutions: every line true, the last one the answer, faults where they were put."""

import random
import re

import pytest

from maieutic.in_box.curriculum import FULL
from maieutic.in_box.families import FAULTS, Fault, Level, Problem, code, draw, without_term, work
from maieutic.tasks.split import split_of

pytest.importorskip("reasoning_gym")

LEVELS = sorted(FULL, key=lambda level: level.name)
_EQUATION = re.compile(r"(-?\d+) ([-+*]) (-?\d+) = (-?\d+)$")


def _true(line: str) -> bool:
    found = _EQUATION.search(line)
    assert found, line
    left, op, right, result = found.groups()
    return {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}[op] == int(result)


def _problems(count: int) -> list[Problem]:
    rng = random.Random(7)
    return [draw(level, "train", rng) for level in LEVELS for _ in range(count)]


def test_every_line_is_true_and_the_last_is_the_answer_of_reasoning_gym() -> None:
    for problem in _problems(20):
        *steps, answer = work(problem)
        assert steps and all(_true(step) for step in steps)
        assert answer == f"Answer: {problem.answer}"


def test_the_program_prints_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    for problem in _problems(5):
        exec(code(problem), {})
        assert capsys.readouterr().out.strip() == problem.answer


def test_a_fault_shows_at_its_step_and_not_before() -> None:
    rng = random.Random(3)
    for problem in _problems(10):
        right = work(problem)
        for at in range(len(right)):
            wrong = work(problem, Fault(at, rng.choice(FAULTS)), rng)
            assert wrong[:at] == right[:at]
            assert wrong[at] != right[at]


def test_lines_after_a_fault_follow_from_it() -> None:
    rng = random.Random(4)
    level = Level("chain_sum", 5, 2)
    for _ in range(50):
        problem = draw(level, "train", rng)
        lines = work(problem, Fault(0, "near"), rng)
        assert not _true(lines[0])
        assert all(_true(line) for line in lines[1:-1])
        assert lines[-1] == "Answer: " + lines[-2].rsplit(" ", 1)[-1]


def test_an_overlooked_term_is_missing() -> None:
    rng = random.Random(5)
    problem = draw(Level("chain_sum", 4, 1), "train", rng)
    assert len(work(without_term(problem, rng))) == len(work(problem)) - 1


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_reworded_question_is_held_out_with_its_original(split: str) -> None:
    rng = random.Random(6)
    for _ in range(100):
        problem = draw(Level("chain_sum", 3, 2), split, rng, plain=True)  # type: ignore[arg-type]
        expression = code(problem).removeprefix("print(").removesuffix(")")
        original = f"State the final answer to the following arithmetic problem: {expression} ="
        assert split_of(problem.question) == split_of(original) == split
