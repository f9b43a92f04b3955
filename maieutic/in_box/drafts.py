"""Drafts of solutions, right and wrong, and what a critic says of them."""

import random

from maieutic.in_box.families import FAULTS, Fault, Problem, without_term, work


def wrong_solution(problem: Problem, rng: random.Random) -> list[str]:
    """A solution whose lines differ from the right one's: a slip somewhere, or an overlooked term."""
    right = work(problem)
    if len(problem.terms) > 2 and rng.random() < 0.12:
        return work(without_term(problem, rng))
    at = rng.randrange(len(right)) if rng.random() < 0.5 else rng.randrange(max(1, len(right) - 1))
    return work(problem, Fault(at, rng.choice(FAULTS)), rng)


def first_wrong(solution: list[str], problem: Problem) -> int | None:
    """The number (from 1) of the first line that isn't as it should be, None when all are."""
    right = work(problem)
    for number, line in enumerate(right, 1):
        if number > len(solution) or solution[number - 1] != line:
            return number
    return None


def review(solution: list[str], problem: Problem) -> str:
    """What a calculator says of `solution`: every step done again and compared, up to the first wrong one."""
    wrong = first_wrong(solution, problem)
    lines = [
        f"Step {number}: {line}, {'wrong' if number == wrong else 'right'}" for number, line in _until(wrong, problem)
    ]
    return "\n".join([*lines, f"First wrong step: {wrong or 'none'}"])


def compared(steps: list[str], problem: Problem) -> tuple[list[str], int | None]:
    """The question worked anew, and what each step came to, up to the first wrong one; then that one's number, None
    where all are right.

    It is worked anew before anything is compared: between the lines that it shall check, this model copies them.
    """
    wrong = first_wrong(steps, problem)
    if wrong is not None and wrong > len(steps):
        wrong = None
    flags = []
    for number, line in _until(wrong or len(steps), problem):
        result = line.replace(": ", " = ").rpartition(" = ")[2]
        flags.append(f"Step {number}: {result}, {'wrong' if number == wrong else 'right'}")
    return [*work(problem), *flags], wrong


def verdict(solution: list[str], problem: Problem) -> str:
    """The critic's words on `solution`. A line that is missing at its end is wrong."""
    right = work(problem)
    lines, wrong = compared([*solution, *[""] * (len(right) - len(solution))], problem)
    return "\n".join([*lines, f"First wrong step: {wrong or 'none'}"])


def _until(number: int | None, problem: Problem) -> list[tuple[int, str]]:
    """The right lines, numbered from 1, up to this one."""
    return list(enumerate(work(problem), 1))[:number]


def draft_of(problem: Problem, rng: random.Random, wrong: float) -> list[str]:
    """A solution that is wrong with this probability."""
    return wrong_solution(problem, rng) if rng.random() < wrong else work(problem)


def shown(draft: list[str], rng: random.Random) -> str:
    """A draft as others see it: sometimes, as after a tool call, its last line alone."""
    return draft[-1] if rng.random() < 0.12 else "\n".join(draft)
