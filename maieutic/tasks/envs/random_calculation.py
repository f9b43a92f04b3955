"""`env:random_calculation`: arithmetic put together at random, which no training set can hold.

After Wu et al. 2025, "Reasoning or Memorization? Unreliable Results of Reinforcement Learning Due to Data
Contamination", arXiv 2507.10532: expressions of 1 to 20 steps over + - * /, with a reward that is continuous in the
distance to the right value. Deviations: the right value is an exact fraction, kept small enough to be written down;
"correct" means equal to it, and the continuous reward is the score beside that.
"""

from fractions import Fraction
from random import Random

from pydantic import Field

from maieutic.tasks.generated import Draft, Knobs, generated
from maieutic.tasks.numbers import parse_number
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import FULL_SCORE, verifier
from maieutic.types import Outcome, Verdict

EPSILON = 1e-6
TRIES = 12


class RandomCalculation(Knobs):
    steps: int = Field(default=2, ge=1, le=20)
    """Operations in the expression."""
    largest: int = Field(default=100, ge=1, le=1000)
    """The largest whole number in it."""
    leaves: int = Field(default=3, ge=1, le=3)
    """What stands in it: 1 whole numbers, 2 also fractions, 3 also squares and cubes."""
    digits: int = Field(default=9, ge=3, le=30)
    """Digits that numerators of values on the way may have; denominators have half of that."""


LEVELS = tuple(RandomCalculation(steps=steps) for steps in (1, 2, 3, 5, 8, 12, 16, 20))

Part = tuple[str, Fraction]


@generated("random_calculation", levels=LEVELS)
def random_calculation(knobs: RandomCalculation, rng: Random) -> Draft | None:
    """Random arithmetic of a given number of steps, with an exact answer and a reward for coming near it."""
    part = _expression(knobs, rng, knobs.steps)
    if part is None:
        return None
    text, value = part
    question = (
        f"Work out: {text.removeprefix('(').removesuffix(')')}\n"
        "Give the exact value, as a whole number or a fraction. End with: Answer: VALUE"
    )
    return Draft(question, str(value), "number", difficulty=float(knobs.steps), chance=0.0)


@verifier("random_calculation", answer_type="number")
def check(task: Task, answer: str) -> Verdict:
    """Correct where the value is exactly right; the score falls with the distance, so it can be near 1 and wrong."""
    gold, found = parse_number(str(task.gold)), parse_number(answer)
    if gold is None or found is None:
        return Verdict(Outcome.FORMAT_ERROR, None, reason="not a number")
    if found.value == gold.value:
        return Verdict(Outcome.CORRECT, 1.0)
    return Verdict(Outcome.WRONG, min(nearness(found.value, gold.value), FULL_SCORE - EPSILON))


def nearness(found: Fraction, gold: Fraction) -> float:
    """1 less half the absolute distance (at most 1) and half the relative one (at most 1)."""
    distance = abs(found - gold)
    relative = distance / (abs(gold) + Fraction(EPSILON))
    return float(1 - min(distance, Fraction(1)) / 2 - min(relative, Fraction(1)) / 2)


def _expression(knobs: RandomCalculation, rng: Random, steps: int) -> Part | None:
    if steps == 0:
        return _leaf(knobs, rng)
    left_steps = rng.randint(0, steps - 1)
    for _ in range(TRIES):
        left, right = _expression(knobs, rng, left_steps), _expression(knobs, rng, steps - 1 - left_steps)
        if left is None or right is None:
            return None
        for sign in rng.sample("+-*/", 4):
            value = _joined(left[1], sign, right[1])
            if value is not None and _small(knobs, value):
                return f"({left[0]} {sign} {right[0]})", value
        if steps > 4:  # trying again would try the parts again, and theirs
            return None
    return None


def _joined(a: Fraction, sign: str, b: Fraction) -> Fraction | None:
    match sign:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case _:
            return a / b if b else None


def _small(knobs: RandomCalculation, value: Fraction) -> bool:
    above, below = int(10**knobs.digits), int(10 ** (knobs.digits // 2))
    return abs(value.numerator) < above and value.denominator < below


def _leaf(knobs: RandomCalculation, rng: Random) -> Part:
    match rng.choices((1, 2, 3), (6, 2, 2))[0] if knobs.leaves == 3 else rng.choice((1, 1, knobs.leaves)):
        case 1:
            number = rng.randint(0, knobs.largest)
            return str(number), Fraction(number)
        case 2:
            below = rng.randint(2, 12)
            above = rng.choice([a for a in range(1, 2 * below) if Fraction(a, below).denominator == below])
            return f"({above}/{below})", Fraction(above, below)
        case _:
            base, power = rng.randint(2, 12), rng.choice((2, 3))
            return f"{base}^{power}", Fraction(base) ** power
