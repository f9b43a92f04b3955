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


def verdict(solution: list[str], problem: Problem) -> str:
    """The critic's words on `solution`: its answer, the question worked anew, then the two answers side by side; where
    they differ each line beside its own result, up to the first wrong one.

    It is worked anew before anything is compared: between the lines that it shall check, this model copies them. What
    the draft has come to is said first, since after its own work it took its own answer for the draft's.
    """
    own, wrong = work(problem), first_wrong(solution, problem)
    lines = [quoted(solution[-1]), *own, beside(quoted(solution[-1]), own[-1])]
    pairs = list(zip(solution, own, strict=False))[: wrong or 0]
    lines += [f"Step {number}: {beside(line, mine)}" for number, (line, mine) in enumerate(pairs, 1)]
    return "\n".join([*lines, f"First wrong step: {wrong or 'none'}"])


def beside(line: str, own: str) -> str:
    """A line of a draft, what it should have come to, the two digit by digit, and whether they are the same."""
    return f"{line}, {result_of(own)}, {digit_by_digit(result_of(line), result_of(own))}"


def digit_by_digit(said: str, own: str) -> str:
    """Two numbers in pairs of their digits, up to the first pair that differs, and what that makes of the one said:
    `85`, `83` is `88 53 wrong`, and `5`, `5` is `55 .. right`; a number that has ended goes on with a point.

    Numbers that merely stand side by side are hardly told apart after minutes of training; in pairs, of which each is a
    decision of its own, nearly always (benchmarks/results/comparing.md).
    """
    width = max(len(said), len(own)) + 1
    pairs = list(zip(said.ljust(width, "."), own.ljust(width, "."), strict=True))
    differs = next((number for number, (one, other) in enumerate(pairs, 1) if one != other), None)
    shown = [one + other for one, other in pairs[:differs]]
    return " ".join([*shown, "right" if differs is None else "wrong"])


def quoted(line: str) -> str:
    """What a draft has come to, as the roles repeat it."""
    return f"Said: {result_of(line)}"


def result_of(line: str) -> str:
    """What a line came to."""
    return line.replace(": ", " = ").rpartition(" = ")[2]


def telling(draft: list[str], problem: Problem) -> bool:
    """Whether a wrong draft shows by its numbers that it is wrong: by that of its first wrong line, and by its answer.

    A slip that is made up for later, or a term of nothing left out, does not."""
    wrong, own = first_wrong(draft, problem), work(problem)
    if wrong is None or wrong > len(draft):
        return False
    return result_of(draft[wrong - 1]) != result_of(own[wrong - 1]) and draft[-1] != own[-1]


def _until(number: int | None, problem: Problem) -> list[tuple[int, str]]:
    """The right lines, numbered from 1, up to this one."""
    return list(enumerate(work(problem), 1))[:number]


def draft_of(problem: Problem, rng: random.Random, wrong: float) -> list[str]:
    """A solution that is wrong with this probability, and then tells by its numbers that it is."""
    if rng.random() >= wrong:
        return work(problem)
    while not telling(draft := wrong_solution(problem, rng), problem):
        pass
    return draft


def shown(draft: list[str], rng: random.Random) -> str:
    """A draft as others see it: sometimes, as after a tool call, its last line alone."""
    return draft[-1] if rng.random() < 0.12 else "\n".join(draft)
