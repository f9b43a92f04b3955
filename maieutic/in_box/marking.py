"""Marking a solution: each line worked out exactly, and the first one that is wrong named with the kind of its error.

A line is right where its equation is true, goes on from what the line before it came to, and takes in something of the
question that no line has yet, in any order. Where something is left out altogether, the first line that is out of order
is wrong: there it was passed by.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from maieutic.in_box.families import Problem, counted, places

_LINE = re.compile(
    r"(?:(?P<label>\d+ [a-z][a-z ]*): )?(?P<left>-?\d+) (?P<op>[-+*]) (?P<right>-?\d+) = (?P<result>-?\d+)"
)
_ANSWER = re.compile(r"Answer: (-?\d+)")


@dataclass(frozen=True, slots=True)
class Slip:
    """The first wrong line: its number (from 1), the kind of error in LEMMA's words, what is wrong with it in a
    sentence, and the solution from there as it should go on."""

    line: int
    kind: str
    why: str
    goes_on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Product:
    left: int
    right: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a line takes in of what is open: a product, or parts of a number."""

    product: int | None = None
    number: int = 0
    parts: tuple[int, ...] = ()


class _Place:
    """How far a solution has come: products still to be worked out, what they came to, the running total, and for each
    number that is still to be added its parts, signed and as they are written."""

    def __init__(self, problem: Problem) -> None:
        self.products: list[_Product] = []
        self.parts: list[int] = []
        self.total: int | None = None
        self.open: list[list[int]] = []
        self.signs: list[str] = []
        first, *rest = problem.terms
        if problem.family == "chain_sum":
            self._sum(first.value, [(term.op, term.value) for term in rest])
        elif problem.family == "products":
            pairs = [(left, right) for right in places(rest[0].value) for left in places(first.value)]
            self.products = [_Product(left, right) for left, right in pairs]
        else:
            self.products = [_Product(t.value, t.each, f"{counted(t)}: ") for t in problem.terms]

    def _sum(self, first: int, later: Sequence[tuple[str, int]]) -> None:
        self.total = first
        self.open = [places(value) for _, value in later]
        self.signs = [op for op, _ in later]

    def next(self) -> str:
        """The next line as it should be."""
        if self.products:
            one = self.products[0]
            return f"{one.label}{one.left} * {one.right} = {one.left * one.right}"
        for parts, sign in zip(self.open, self.signs, strict=True):
            if parts:
                assert self.total is not None
                result = self.total + parts[0] if sign == "+" else self.total - parts[0]
                return f"{self.total} {sign} {parts[0]} = {result}"
        return f"Answer: {self.total}"

    def goes_on(self) -> Iterator[str]:
        """The rest of the solution, from here to the answer."""
        while not (line := self.next()).startswith("Answer"):
            yield line
            self.take(line, strictly=True)
        yield line

    def take(self, line: str, strictly: bool) -> tuple[str, str] | None:
        """Go on by a line; the kind of its error and a sentence on it where it is wrong, and nothing is changed then.

        `strictly` takes in numbers and their parts in their order alone."""
        if (said := _ANSWER.fullmatch(line)) is not None:
            return self._answered(int(said[1]))
        if (found := _LINE.fullmatch(line)) is None:
            return "adding irrelevant information", "That is no step of this."
        left, op, right, result = int(found["left"]), found["op"], int(found["right"]), int(found["result"])
        if op == "*":
            wrong = self._multiplied(left, right, found["label"] or "", strictly)
        else:
            wrong = self._added(left, op, right, strictly)
        if isinstance(wrong, tuple):
            return wrong
        true = {"+": left + right, "-": left - right, "*": left * right}[op]
        if result != true:
            return "calculation", f"{left} {op} {right} is {true}, not {result}."
        self._done(wrong, true)
        return None

    def _answered(self, said: int) -> tuple[str, str] | None:
        if not self.next().startswith("Answer"):
            return "missing step", f"{self._left_out()} is left out."
        if said != self.total:
            return "referencing previous step value", f"The last step came to {self.total}, not {said}."
        return None

    def _multiplied(self, left: int, right: int, label: str, strictly: bool) -> tuple[str, str] | _Taken:
        if not self.products:
            return "adding irrelevant information", "Nothing is to be multiplied here."
        for index, one in enumerate(self.products[:1] if strictly else self.products):
            if (left, right) in ((one.left, one.right), (one.right, one.left)) and label in ("", one.label[:-2]):
                return _Taken(product=index)
        if strictly and any((one.left, one.right) == (left, right) for one in self.products):
            return "missing step", f"{self._left_out()} is left out."
        one = self.products[0]
        if one.label and (left, label) == (one.left, one.label[:-2]):
            return "confusing concept", f"The number of legs is {one.right}, not {right}."
        return "referencing context value", f"What comes next is {one.left} * {one.right}."

    def _added(self, left: int, op: str, right: int, strictly: bool) -> tuple[str, str] | _Taken:
        if self.total is None:
            return "missing step", f"{self._left_out()} is left out."
        if not any(self.open):
            return "adding irrelevant information", "Nothing is left to be done but to say the answer."
        if left != self.total:
            return "referencing previous step value", f"The step before came to {self.total}, not {left}."
        signed = right if op == "+" else -right
        taken, other, passed = self._find(signed, strictly), self._find(-signed, strictly), self._find(signed, False)
        if taken is not None:
            return taken
        if passed is not None:
            return "missing step", f"{self._left_out()} is left out."
        if other is not None:
            return "operator", f"{right} is to be {'taken away, not added' if op == '+' else 'added, not taken away'}."
        return "referencing context value", f"What comes next is {self._left_out()}."

    def _find(self, signed: int, strictly: bool) -> _Taken | None:
        """Which parts of one number come to so much; `strictly` only the first ones of the first number."""
        for index, (parts, sign) in enumerate(zip(self.open, self.signs, strict=True)):
            if not parts:
                continue
            for size in range(1, len(parts) + 1):
                for chosen in [tuple(range(size))] if strictly else combinations(range(len(parts)), size):
                    if sum(parts[i] for i in chosen) * (1 if sign == "+" else -1) == signed:
                        return _Taken(number=index, parts=chosen)
            if strictly:
                return None
        return None

    def _done(self, taken: _Taken, result: int) -> None:
        if taken.product is None:
            parts = self.open[taken.number]
            self.open[taken.number] = [part for i, part in enumerate(parts) if i not in taken.parts]
            self.total = result
            return
        self.products.pop(taken.product)
        self.parts.append(result)
        if not self.products:
            self._sum(self.parts[0], [("+", part) for part in self.parts[1:]])

    def _left_out(self) -> str:
        """What is to be taken in next, in words."""
        left, _, _ = self.next().rpartition(" = ")
        return left if self.products else left.partition(" ")[2]


def first_slip(lines: Sequence[str], problem: Problem) -> Slip | None:
    """The first line of a solution that is wrong; None where all are right and the last one is the answer."""
    found = _walk(lines, problem, strictly=False)
    if found is not None and found.kind == "missing step":
        return _walk(lines, problem, strictly=True)  # where it was passed by, rather than where that shows
    return found


def _walk(lines: Sequence[str], problem: Problem, strictly: bool) -> Slip | None:
    place, answered = _Place(problem), False
    for number, line in enumerate(lines, 1):
        wrong = (
            ("adding irrelevant information", "The answer has been given.") if answered else place.take(line, strictly)
        )
        if wrong is not None:
            rest = () if answered else tuple(place.goes_on())
            return Slip(number, *wrong, rest)
        answered = line.startswith("Answer")
    if not answered:
        return Slip(len(lines) + 1, "missing step", "It has no end.", tuple(place.goes_on()))
    return None
