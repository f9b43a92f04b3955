"""`env:operation`: arithmetic with operations that the question itself defines.

After SynLogic (Liu et al. 2025, arXiv 2505.19641). Deviation: every bracket is written, so that nothing hangs on which
operation binds tighter, and no definition divides.
"""

from collections.abc import Callable
from random import Random

from pydantic import Field

from maieutic.tasks.generated import Draft, Knobs, generated

SIGNS = "⊕⊗⊖⊙△◇"
MOST = 10**9

Operation = Callable[[int, int], int]


class Operations(Knobs):
    operations: int = Field(default=1, ge=1, le=6)
    """Operations that are defined."""
    uses: int = Field(default=1, ge=1, le=10)
    """How often they are used."""
    cases: float = Field(default=0.0, ge=0, le=1)
    """Share of the definitions that depend on which side is larger."""


LEVELS = (
    Operations(),
    Operations(uses=2, cases=0.5),
    Operations(operations=2, uses=3, cases=0.5),
    Operations(operations=3, uses=5, cases=0.5),
    Operations(operations=4, uses=8, cases=0.7),
)


@generated("operation", levels=LEVELS)
def operation(knobs: Operations, rng: Random) -> Draft | None:
    """Newly defined operations: work out an expression that uses them."""
    defined: dict[str, Operation] = {}
    lines = []
    for sign in rng.sample(SIGNS, knobs.operations):
        text, worked = _definition(rng, rng.random() < knobs.cases)
        defined[sign] = worked
        lines.append(f"a {sign} b = {text}")
    expression, value = _expression(defined, rng, knobs.uses)
    if abs(value) > MOST or not all(sign in expression for sign in list(defined)[: knobs.uses]):
        return None
    question = (
        "Operations are defined as follows:\n\n" + "\n".join(lines) + f"\n\nWork out {expression}.\n"
        "End with: Answer: NUMBER"
    )
    return Draft(question, str(value), "number", difficulty=float(knobs.uses), chance=0.0, verifier="number")


def _definition(rng: Random, cases: bool) -> tuple[str, Operation]:
    if not cases:
        return _simple(rng)
    (first, of_larger), (second, of_other) = _simple(rng), _simple(rng)
    text = f"{first} if a > b, otherwise {second}"
    return text, lambda a, b: of_larger(a, b) if a > b else of_other(a, b)


def _simple(rng: Random) -> tuple[str, Operation]:
    p, q, r = rng.randint(2, 5), rng.randint(1, 5), rng.randint(0, 9)
    match rng.randint(1, 4):
        case 1:
            return f"{p} * a + {q} * b", lambda a, b: p * a + q * b
        case 2:
            return f"{p} * a - {q} * b + {r}", lambda a, b: p * a - q * b + r
        case 3:
            return f"a * b - {r}", lambda a, b: a * b - r
        case _:
            return f"(a - b) * {p} + {r}", lambda a, b: (a - b) * p + r


def _expression(defined: dict[str, Operation], rng: Random, uses: int) -> tuple[str, int]:
    if uses == 0:
        number = rng.randint(1, 12)
        return str(number), number
    before = rng.randint(0, uses - 1)
    (left, a), (right, b) = _expression(defined, rng, before), _expression(defined, rng, uses - 1 - before)
    sign = rng.choice(list(defined))
    value = max(-MOST * 2, min(MOST * 2, defined[sign](a, b)))  # what is too large is refused, not squared on
    shown = [f"({text})" if " " in text else text for text in (left, right)]
    return f"{shown[0]} {sign} {shown[1]}", value
