"""`env:boolean_expressions`: which of several nested expressions are true.

After SynLogic (Liu et al. 2025, arXiv 2505.19641). Deviation: the facts are from a list of our own, of things that
nobody disputes (the released one calls true that the Great Wall is visible from space).
"""

from random import Random
from string import ascii_uppercase

from pydantic import Field

from maieutic.tasks.generated import Draft, Knobs, generated

TRUE_FACTS = (
    "Paris is the capital of France", "a triangle has three sides", "ice is frozen water", "seven is a prime number",
    "a week has seven days", "the Earth goes around the Sun", "a spider has eight legs", "Brazil is in South America",
    "a violin has four strings", "the Nile is a river", "an hour has sixty minutes", "whales are mammals",
)  # fmt: skip
FALSE_FACTS = (
    "Rome is the capital of Spain", "a square has five sides", "a year has ten months", "nine is a prime number",
    "the Moon is larger than the Sun", "an insect has eight legs", "Japan is in Africa", "penguins are fish",
    "a minute has a hundred seconds", "the Amazon is a desert", "iron floats on water", "a dozen is ten",
)  # fmt: skip

Part = tuple[str, bool]


class BooleanExpressions(Knobs):
    depth: int = Field(default=1, ge=1, le=6)
    """How deeply the expressions are nested."""
    options: int = Field(default=4, ge=2, le=10)
    """How many there are."""
    facts: float = Field(default=0.4, ge=0, le=1)
    """Share of the innermost parts that are facts about the world; the others are comparisons of numbers."""


LEVELS = tuple(BooleanExpressions(depth=depth, options=4 + depth // 2) for depth in (1, 2, 3, 4, 5))


@generated("boolean_expressions", levels=LEVELS)
def boolean_expressions(knobs: BooleanExpressions, rng: Random) -> Draft | None:
    """Boolean expressions over arithmetic and plain facts: which of them are true."""
    parts = [_expression(knobs, rng, knobs.depth) for _ in range(knobs.options)]
    true = [letter for letter, part in zip(ascii_uppercase, parts, strict=False) if part[1]]
    if not true or len({text for text, _ in parts}) < knobs.options:
        return None
    lines = [f"{letter}. {text}" for letter, (text, _) in zip(ascii_uppercase, parts, strict=False)]
    question = (
        '"Or" is true also where both sides are. Which of these are true?\n\n' + "\n".join(lines) + "\n\n"
        "End with the letters of all that are: Answer: LETTER, LETTER, …"
    )
    chance = 1 / (2**knobs.options - 1)
    return Draft(question, ", ".join(true), "set", difficulty=float(2**knobs.depth), chance=chance, verifier="set")


def _expression(knobs: BooleanExpressions, rng: Random, depth: int) -> Part:
    if depth == 0:
        return _fact(rng) if rng.random() < knobs.facts else _comparison(rng)
    text, value = _expression(knobs, rng, depth - 1)
    if rng.random() < 0.25:
        return f"not ({text})", not value
    other_text, other = _expression(knobs, rng, rng.randint(0, depth - 1))
    if rng.random() < 0.5:
        return f"({text}) and ({other_text})", value and other
    return f"({text}) or ({other_text})", value or other


def _fact(rng: Random) -> Part:
    value = rng.random() < 0.5
    return rng.choice(TRUE_FACTS if value else FALSE_FACTS), value


def _comparison(rng: Random) -> Part:
    a, b, c = rng.randint(-10, 10), rng.randint(2, 9), rng.randint(-10, 10)
    left, shift = a * b + c, rng.choice((-1, 0, 0, 1, rng.randint(-20, 20)))
    sign = rng.choice(("=", "<", ">"))
    right = left + shift
    text = f"{a} * {b} {'-' if c < 0 else '+'} {abs(c)} {sign} {right}"
    return text, {"=": left == right, "<": left < right, ">": left > right}[sign]
