"""Whether an answer follows from steps that were written down: equations that hold, and that use what was asked.

An answer that is right says nothing of how it was come by: a step that is left out, and changed nothing or was made up
for elsewhere, passes every check of the answer. Here each equation has to be true; each number in it has to be one of
the question, a decimal part of one, or what an earlier equation came to; each number of the question has to be used up,
each result taken further, and the last one has to be the answer. In a question that writes out a sum the signs have to
agree, too. A factor that the question doesn't name (legs of an animal, minutes of an hour) is taken as it is.

It reads whole numbers and the four operations, and believes what is said in words. What it can't read it lets not pass.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from maieutic.tasks.arithmetic import work_out

_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})
_EQUATION = re.compile(r"(?<![\w.)])(-?\d+(?: ?[-+*/] ?-?\d+)+) ?= ?(-?\d+)(?![\w]|\.\d)")
_OPERAND = re.compile(r"([-+*/]?) ?(-?\d+)")
_SUM = re.compile(r"-?\d+(?: ?[-+] ?-?\d+)+")
_PRODUCT = re.compile(r"\d ?[*x] ?-?\d")
_NUMBER = re.compile(r"\d+")


@dataclass(slots=True)
class _Open:
    """A number that is still to be used: its value, and its decimal parts that no step has used yet."""

    value: int
    parts: list[int]

    def take(self, number: int) -> bool:
        """Use the whole of it, or a part."""
        if number == self.value and len(self.parts) == len(_parts(self.value)):
            self.parts = []
        elif number in self.parts:
            self.parts.remove(number)
        else:
            return False
        return True


def unfounded(question: str, text: str, answer: str | None) -> str | None:
    """Why the answer doesn't follow from what is written in `text`, in a few words; None where it does."""
    question, lines = question.translate(_SIGNS), text.translate(_SIGNS).splitlines()
    ledger = _Ledger(question)
    for line in lines:
        found = list(_EQUATION.finditer(line))
        if line.count("=") != len(found):
            return "a step that can't be read"
        for equation in found:
            if reason := ledger.step(equation[1], int(equation[2])):
                return reason
    return ledger.end(answer)


class _Ledger:
    """What of the question is open, and what earlier steps came to; signed where the question writes out a sum."""

    def __init__(self, question: str) -> None:
        numbers = [int(number) for number in _NUMBER.findall(question)]
        found = _SUM.search(question)
        self._signed = found is not None and len(_NUMBER.findall(found[0])) == len(numbers)
        self._product = not self._signed and _PRODUCT.search(question) is not None
        if self._signed and found is not None:
            numbers = [value for _, value in _operands(found[0])]
        self._numbers = [_Open(number, _parts(number)) for number in numbers]
        self._results: list[_Open] = []
        self._last: int | None = None

    def step(self, left: str, result: int) -> str | None:
        """Go on by an equation; what is wrong with it."""
        worked = work_out(left)
        if worked is None or worked.value != result:
            return "an equation that doesn't hold"
        grounded = 0
        for op, value in _operands(left):
            number = value if self._signed else abs(value)
            if self._used(number, op, grounded):
                grounded += 1
            elif op not in "*/" or not (worked.operations & {"*", "/"}):
                return "a number from nowhere"
        if not grounded:
            return "a number from nowhere"
        kept = result if self._signed else abs(result)
        self._results.append(_Open(kept, _parts(kept)))
        self._last = result
        return None

    def end(self, answer: str | None) -> str | None:
        if self._last is None:
            return "no written step"
        if any(one.parts for one in self._numbers):
            return "a number of the question is not used"
        if any(one.parts for one in self._results[:-1]):
            return "a step that leads nowhere"
        said = work_out(answer) if answer else None
        return None if said is not None and said.value == self._last else "the answer is not what the steps come to"

    def _used(self, number: int, op: str, before: int) -> bool:
        """Whether the number is grounded, used up there. A factor may be one the question doesn't name, unless the
        question writes out a product, whose factors come up once for each part of the other."""
        factor = op in ("*", "/")
        if factor and before and not self._product:
            return False
        places = [*self._numbers, *self._results] if factor else [*self._results, *self._numbers]
        if any(one.take(number) for one in places):
            return True
        return self._product and any(number in (one.value, *_parts(one.value)) for one in self._numbers)


def _operands(text: str) -> Iterator[tuple[str, int]]:
    """The operation before each number and the number as it counts; the first one takes the operation after it, so
    that both of a product are factors."""
    found = [(op, int(number)) for op, number in _OPERAND.findall(text)]
    first = found[1][0] if len(found) > 1 and found[1][0] in ("*", "/") else "+"
    for place, (op, number) in enumerate(found):
        if place == 0:
            yield first, -number if op == "-" else number
        else:
            yield op, -number if op == "-" else number


def _parts(number: int) -> list[int]:
    """A number's digits with their zeros: 405 is 400 and 5, 0 is 0."""
    sign, digits = (-1 if number < 0 else 1), str(abs(number))
    return [sign * int(d) * 10 ** (len(digits) - i) for i, d in enumerate(digits, 1) if d != "0"] or [0]
