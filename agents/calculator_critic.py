"""A critic that calculates: it does the sums again that a solution writes down, and asks no model.

Feedback from a tool rather than from the model itself, as in CRITIC (Gou et al. 2023, arXiv 2305.11738), for arithmetic
alone. It knows neither the question nor the gold answer: a number that was copied wrongly, or a step that is missing,
it can't see. A solution without a sum in it has no verdict.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from maieutic.agents.critic import Critique, steps_of
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.types import Sampling

_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_LEFT = re.compile(rf"(?<![\w.)%^])[-(\s]*{_NUMBER}[\d.,()+\-*/\s]*$")
_RIGHT = re.compile(rf"\s*-?\s*(?:{_NUMBER}|\()[\d.,()+\-*/\s]*?(?=\s*(?:$|[^\d\s.,()+\-*/\w%^]|[a-zA-Z]{{2}}))")
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "$": None, "€": None})
_LONGEST = 200  # characters of a sum


@dataclass(frozen=True, slots=True)
class Sum:
    """An equation as it was written, with what its right side should be; `holds` up to rounding."""

    left: str
    right: str
    value: Fraction
    holds: bool


@dataclass(frozen=True, slots=True)
class CalculatorCritic:
    """Names the first step whose sum is wrong; `accepts` is None where there is no sum that it can read."""

    role: str = "calculator"
    sampling: Sampling = Sampling()
    """Taken as by every agent in a role, and not needed: nothing is sampled."""

    async def __call__(self, ctx: Context, solution: Solution) -> Critique:
        lines, wrong, found = [], None, 0
        for number, step in enumerate(steps_of(solution), 1):
            for equation in sums(step):
                found += 1
                said = "right" if equation.holds else "wrong"
                lines.append(f"Step {number}: {equation.left} = {_written(equation.value)}, {said}")
                if not equation.holds:
                    wrong = wrong or number
            if wrong:
                break
        accepts = None if not found else wrong is None
        text = "\n".join([*lines, f"First wrong step: {wrong or 'none'}"]) if found else "No sums to check."
        ctx.record("verdict", call_id=solution.call_id, of=solution.call_id, accepts=accepts, first_wrong=wrong)
        ctx.emit("verdict", role=self.role, accepts=accepts, first_wrong=wrong)
        return Critique(text, solution.call_id, accepts, wrong)


def sums(line: str) -> Iterator[Sum]:
    """The equations in a line whose left side is a sum of numbers; what has a variable or a unit in it is none."""
    parts = re.split(r"(?<![<>!=])=(?!=)", line.translate(_SIGNS))
    for left, right in zip(parts, parts[1:], strict=False):
        before, after = _LEFT.search(left), _RIGHT.match(right)
        if not before or not after or left[: before.start()].rstrip()[-1:] in tuple("+-*/^%"):
            continue
        asked, said = before[0].strip(), after[0].strip()
        value, claimed = value_of(asked), value_of(said)
        if value is None or claimed is None or not _is_sum(asked):
            continue
        yield Sum(asked, said, value, abs(value - claimed) <= _rounding(said))


def value_of(text: str) -> Fraction | None:
    """The exact value of an arithmetic expression; None where it is none, or divides by zero."""
    if len(text) > _LONGEST:
        return None
    try:
        return _value(ast.parse(re.sub(r"(?<=\d),(?=\d{3})", "", text).strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError):
        return None


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return Fraction(str(number))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=op, right=right):
            return _calculated(_value(left), op, _value(right))
    raise ValueError("not arithmetic")


def _calculated(left: Fraction, op: ast.operator, right: Fraction) -> Fraction:
    match op:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
    raise ValueError("not arithmetic")


def _is_sum(text: str) -> bool:
    return re.search(r"[\d)]\s*[-+*/]", text) is not None


def _rounding(text: str) -> Fraction:
    """By how much a number may be off that was written with so many decimals; a whole number by nothing."""
    decimals = text.rpartition(".")[2] if "." in text else ""
    return Fraction(1, 2 * 10 ** len(decimals)) if decimals.isdecimal() else Fraction(0)


def _written(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.6g}"
