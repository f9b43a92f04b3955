"""The question families that the in-box model knows, with their worked solutions.

A solution is a list of lines, one step each, the last one `Answer: X`. The same code writes wrong solutions: a `Fault`
at one step, whose consequences run through the later steps as they would for a solver that slipped there.
"""

import functools
import operator
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from maieutic.errors import MissingExtra
from maieutic.tasks.market import asked, basket, price_list
from maieutic.tasks.split import Split, split_of

Family = Literal["chain_sum", "products", "leg_counting", "prices"]
FaultKind = Literal["near", "ten", "sign", "operand", "operator"]

FAULTS: tuple[FaultKind, ...] = ("near", "near", "ten", "ten", "sign", "operand", "operator")

_OPERATIONS: dict[str, Callable[[int, int], int]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_SWAPPED = {"+": "-", "-": "+", "*": "+"}
_CHAIN = "State the final answer to the following arithmetic problem: {} ="
_PRODUCT = "Solve the following multiplication: {}. Give only the result as your final answer."
_PLAIN = ("What is {}?", "{}", "Calculate {}.", "{} =", "How much is {}?", "{} = ?", "Compute {}.", "what is {}")
MIXED = 0


@dataclass(frozen=True, slots=True)
class Level:
    """A difficulty: `size` terms (or animals, goods), `width` digits a number (`MIXED`: any) or instances at most."""

    family: Family
    size: int
    width: int

    @property
    def name(self) -> str:
        unit = {"chain_sum": "td", "products": "td", "leg_counting": "an", "prices": "gn"}[self.family]
        width = "m" if self.width == MIXED else str(self.width)
        return f"{self.family} {self.size}{unit[0]}{width}{unit[1]}"


@dataclass(frozen=True, slots=True)
class Term:
    """One operand: a signed number of a chain, a factor, or `value` things with `each` legs (or price) apiece."""

    value: int
    op: str = "+"
    each: int = 0
    thing: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with what is needed to work it out."""

    family: Family
    question: str
    answer: str
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """A slip of `kind` at the step of index `at`."""

    at: int
    kind: FaultKind


class _Pen:
    """Writes equations, and slips where it's told to."""

    def __init__(self, fault: Fault | None, rng: random.Random | None) -> None:
        self.lines: list[str] = []
        self._fault = fault
        self._rng = rng

    def write(self, left: int, op: str, right: int, label: str = "") -> int:
        shown, used, result = right, op, _OPERATIONS[op](left, right)
        if self._fault is not None and self._rng is not None and len(self.lines) == self._fault.at:
            shown, used, result = _slip(self._fault.kind, left, op, right, self._rng)
        self.lines.append(f"{label}{left} {used} {shown} = {result}")
        return result

    def add(self, total: int, op: str, term: int) -> int:
        """`total` plus or minus `term`, one decimal place at a time: two-digit sums in one step were not learnt."""
        for part in places(term):
            total = self.write(total, op, part)
        return total


def _slip(kind: FaultKind, left: int, op: str, right: int, rng: random.Random) -> tuple[int, str, int]:
    """A wrong (right operand, operator, result); falls back to a near miss where the kind would change nothing."""
    result = _OPERATIONS[op](left, right)
    if kind == "operand":
        other = _miscopied(right, rng)
        return other, op, _OPERATIONS[op](left, other)
    if kind == "operator" and _OPERATIONS[_SWAPPED[op]](left, right) != result:
        return right, _SWAPPED[op], _OPERATIONS[_SWAPPED[op]](left, right)
    if kind == "sign" and result != 0:
        return right, op, -result
    if kind == "ten":
        return right, op, result + rng.choice((-10, 10))
    return right, op, result + rng.choice((-2, -1, -1, 1, 1, 2))


def _miscopied(number: int, rng: random.Random) -> int:
    digits = list(str(abs(number)))
    place = rng.randrange(len(digits))
    digits[place] = rng.choice([d for d in "123456789" if d != digits[place]])
    return int("".join(digits)) * (-1 if number < 0 else 1)


def work(problem: Problem, fault: Fault | None = None, rng: random.Random | None = None) -> list[str]:
    """The worked solution, line by line; with `fault` (and `rng`) one that goes wrong at that step."""
    pen = _Pen(fault, rng)
    total = _WORKERS[problem.family](problem.terms, pen)
    if fault is not None and rng is not None and fault.at == len(pen.lines):
        total = _slip(fault.kind if fault.kind in ("near", "ten", "sign") else "near", total, "+", 0, rng)[2]
    return [*pen.lines, f"Answer: {total}"]


def _work_chain(terms: tuple[Term, ...], pen: _Pen) -> int:
    total = terms[0].value
    for term in terms[1:]:
        total = pen.add(total, term.op, term.value)
    return total


def _work_product(terms: tuple[Term, ...], pen: _Pen) -> int:
    pairs = [(left, right) for right in places(terms[1].value) for left in places(terms[0].value)]
    return _sum([pen.write(left, "*", right) for left, right in pairs], pen)


def places(number: int) -> list[int]:
    """A number's digits with their zeros, largest first: 405 is 400 and 5, -36 is -30 and -6."""
    sign, digits = (-1 if number < 0 else 1), str(abs(number))
    return [sign * int(d) * 10 ** (len(digits) - i) for i, d in enumerate(digits, 1) if d != "0"] or [0]


def _work_counts(terms: tuple[Term, ...], pen: _Pen) -> int:
    parts = [pen.write(t.value, "*", t.each, f"{counted(t)}: ") for t in terms]
    return _sum(parts, pen)


def _sum(parts: list[int], pen: _Pen) -> int:
    return functools.reduce(lambda total, part: pen.add(total, "+", part), parts[1:], parts[0])


def counted(term: Term) -> str:
    """How many of what, as a solution names it: "6 lobsters"."""
    return f"{term.value} {term.thing}{'s' if term.value > 1 else ''}"


_WORKERS: dict[Family, Callable[[tuple[Term, ...], _Pen], int]] = {
    "chain_sum": _work_chain,
    "products": _work_product,
    "leg_counting": _work_counts,
    "prices": _work_counts,
}


def code(problem: Problem) -> str:
    """The Python program that prints the answer."""
    return f"print({expression(problem)})"


def expression(problem: Problem) -> str:
    """The arithmetic of the question, as Python writes it."""
    if problem.family in ("leg_counting", "prices"):
        return " + ".join(f"{t.value} * {t.each}" for t in problem.terms)
    if problem.family == "products":
        return " * ".join(str(t.value) for t in problem.terms)
    return _chain(problem.terms)


def _chain(terms: tuple[Term, ...]) -> str:
    return str(terms[0].value) + "".join(f" {t.op} {t.value}" for t in terms[1:])


def without_term(problem: Problem, rng: random.Random) -> Problem:
    """The problem as somebody reads it who overlooks one term (needs at least two terms)."""
    gone = rng.randrange(len(problem.terms))
    kept = tuple(t for i, t in enumerate(problem.terms) if i != gone)
    return replace(problem, terms=(replace(kept[0], op="+"), *kept[1:]))


def draw(level: Level, split: Split, rng: random.Random, plain: bool = False) -> Problem:
    """A problem of this level and split; `plain` words it as people type it, not as reasoning-gym does.

    A reworded question is of the split only if both wordings are: a held-out sum stays unseen in every wording.
    """
    while True:
        problem = _MAKERS[level.family](level, rng)
        if split_of(problem.question) != split:
            continue
        if not plain or problem.family in ("leg_counting", "prices"):
            return problem
        reworded = replace(problem, question=rng.choice(_PLAIN).format(expression(problem)))
        if split_of(reworded.question) == split:
            return reworded


def _number(width: int, rng: random.Random) -> int:
    digits = rng.choice((1, 2)) if width == MIXED else width
    return rng.randint(0 if digits == 1 else 10 ** (digits - 1), 10**digits - 1)


def _make_chain(level: Level, rng: random.Random) -> Problem:
    if level.width != MIXED:
        item = _dataset("chain_sum", size=level.size, digits=level.width)[rng.getrandbits(40)]
        first, *rest = item["metadata"]["expression"].split()
        pairs = zip(rest[::2], rest[1::2], strict=True)
        terms = (Term(int(first)), *(Term(int(value), op) for op, value in pairs))
        return Problem("chain_sum", item["question"], item["answer"], terms)
    terms = tuple(Term(_number(MIXED, rng), rng.choice("+-") if i else "+") for i in range(level.size))
    total = sum(t.value if t.op == "+" else -t.value for t in terms)
    return Problem("chain_sum", _CHAIN.format(_chain(terms)), str(total), terms)


def _make_product(level: Level, rng: random.Random) -> Problem:
    if level.width != MIXED:
        item = _dataset("products", size=level.size, digits=level.width)[rng.getrandbits(40)]
        factors = [int(f) for f in item["metadata"]["expression"].split(" * ")]
        return Problem("products", item["question"], item["answer"], tuple(Term(f) for f in factors))
    left, right = _number(2, rng), _number(1, rng)
    if rng.random() < 0.3:
        left, right = right, left
    question = _PRODUCT.format(f"{left} * {right}")
    return Problem("products", question, str(left * right), (Term(left), Term(right)))


def _make_legs(level: Level, rng: random.Random) -> Problem:
    item = _dataset("leg_counting", size=level.size, digits=level.width)[rng.getrandbits(40)]
    legs = legs_of()
    terms = tuple(Term(n, each=legs[a], thing=a) for a, n in item["metadata"]["animals"].items())
    return Problem("leg_counting", item["question"].strip(), item["answer"], terms)


def _make_prices(level: Level, rng: random.Random) -> Problem:
    list_ = price_list(rng)
    wanted = basket(level.size, level.width, rng)
    terms = tuple(Term(count, each=list_[good], thing=good) for good, count in wanted.items())
    return Problem("prices", asked(wanted), str(sum(t.value * t.each for t in terms)), terms)


_MAKERS: dict[Family, Callable[[Level, random.Random], Problem]] = {
    "chain_sum": _make_chain,
    "products": _make_product,
    "leg_counting": _make_legs,
    "prices": _make_prices,
}


@functools.cache
def _dataset(name: str, size: int, digits: int) -> Any:
    import reasoning_gym

    if name == "leg_counting":
        return reasoning_gym.create_dataset(name, min_animals=size, max_animals=size, max_instances=digits, seed=0)
    return reasoning_gym.create_dataset(
        name, min_terms=size, max_terms=size, min_digits=digits, max_digits=digits, seed=0
    )


def animals() -> tuple[str, ...]:
    """The animals that leg counting knows."""
    return tuple(legs_of())


@functools.cache
def legs_of() -> dict[str, int]:
    """The number of legs of each animal, as reasoning-gym has it. Raises MissingExtra without it."""
    try:
        from reasoning_gym.arithmetic.leg_counting import ANIMALS
    except ImportError:
        raise MissingExtra("Counting legs", "envs") from None

    return dict(ANIMALS)
