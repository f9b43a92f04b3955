"""`env:game_of_24`: make a target out of given numbers, each used exactly once.

After SynLogic (Liu et al. 2025, arXiv 2505.19641). Deviations, where its released verifier is at fault: an answer's
value is compared with the target (there it was compared with itself, so that any expression over the numbers passed);
powers, floor division and joined digits are not operations; and brackets are allowed, so that items are kept by
whether they can be solved at all, and not from left to right only.
"""

from collections.abc import Iterator
from fractions import Fraction
from random import Random

from pydantic import Field, field_validator

from maieutic.tasks.arithmetic import work_out
from maieutic.tasks.generated import Draft, Knobs, generated, instance_of
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verifier
from maieutic.types import Outcome, Verdict


class GameOf24(Knobs):
    numbers: int = Field(default=4, ge=3, le=5)
    """Numbers that are given."""
    lowest: int = Field(default=1, ge=1, le=100)
    highest: int = Field(default=9, ge=2, le=100)
    """The range they come from."""
    target: int = Field(default=24, ge=1, le=10_000)
    """What is to be made of them."""
    operations: str = "+-*/"
    """Those that are allowed."""

    @field_validator("operations")
    @classmethod
    def _known(cls, operations: str) -> str:
        if not operations or set(operations) - set("+-*/") or len(set(operations)) < len(operations):
            raise ValueError("operations are some of + - * /, each once")
        return operations


LEVELS = (GameOf24(numbers=3), GameOf24(), GameOf24(highest=13), GameOf24(numbers=5, highest=13))

Part = tuple[Fraction, str]


@generated("game_of_24", levels=LEVELS)
def game_of_24(knobs: GameOf24, rng: Random) -> Draft | None:
    """Make a target, such as 24, out of a few numbers with the four operations."""
    if knobs.highest < knobs.lowest:
        return None
    numbers = [rng.randint(knobs.lowest, knobs.highest) for _ in range(knobs.numbers)]
    gold = solve(numbers, knobs.target, knobs.operations)
    if gold is None:
        return None
    question = (
        f"Make {knobs.target} out of the numbers {', '.join(map(str, numbers))}. Use each of them exactly once, with "
        f"the operations {' '.join(knobs.operations)} and brackets; nothing else is allowed, no joined digits.\n"
        "End with the expression alone: Answer: EXPRESSION"
    )
    instance = {"numbers": numbers, "target": knobs.target, "operations": knobs.operations}
    return Draft(question, gold, "text", instance, difficulty=float(knobs.numbers))


def solve(numbers: list[int], target: int, operations: str) -> str | None:
    """An expression that is worth the target, None where there is none."""
    return next(_solved([(Fraction(n), str(n)) for n in numbers], Fraction(target), operations), None)


def _solved(parts: list[Part], target: Fraction, operations: str) -> Iterator[str]:
    if len(parts) == 1:
        if parts[0][0] == target:
            yield parts[0][1]
        return
    for i in range(len(parts)):
        for j in range(len(parts)):
            if i != j:
                rest = [parts[at] for at in range(len(parts)) if at not in (i, j)]
                for made in _made(parts[i], parts[j], operations, i < j):
                    yield from _solved([*rest, made], target, operations)


def _made(a: Part, b: Part, operations: str, in_order: bool) -> Iterator[Part]:
    """What two parts come to; sums and products only in one order."""
    if "+" in operations and in_order:
        yield a[0] + b[0], f"({a[1]} + {b[1]})"
    if "*" in operations and in_order:
        yield a[0] * b[0], f"({a[1]} * {b[1]})"
    if "-" in operations:
        yield a[0] - b[0], f"({a[1]} - {b[1]})"
    if "/" in operations and b[0]:
        yield a[0] / b[0], f"({a[1]} / {b[1]})"


@verifier("game_of_24", answer_type="text")
def check(task: Task, answer: str) -> bool | Verdict:
    """The expression uses exactly the numbers and is worth exactly the target; "= 24" may follow it."""
    instance = instance_of(task)
    left, equals, right = answer.partition("=")
    worked = work_out(left)
    if worked is None:
        return Verdict(Outcome.FORMAT_ERROR, None, reason="not an expression of whole numbers, + - * / and brackets")
    if equals and right.strip().rstrip(".") != str(instance["target"]):
        return Verdict(Outcome.WRONG, 0.0, reason="it says itself that it is worth something else")
    if sorted(worked.numbers) != sorted(instance["numbers"]):
        return Verdict(Outcome.WRONG, 0.0, reason="it doesn't use each number exactly once")
    if worked.operations - set(instance["operations"]):
        return Verdict(Outcome.WRONG, 0.0, reason="it uses an operation that is not allowed")
    return worked.value == int(instance["target"])
