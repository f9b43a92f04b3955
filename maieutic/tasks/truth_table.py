"""Truth tables by brute force: what premises say of a conclusion, decided by looking at every row.

Formulas are read by a parser of our own, never evaluated as code: a model wrote them. A column of the table is one
integer with a bit for each row, so that a connective over 2^n rows is one operation.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MAX_VARIABLES = 16
MAX_LENGTH = 2_000  # characters of a formula
MAX_DEPTH = 60

Finding = Literal["True", "False", "Uncertain"]

_NAMES = {"and": "&", "or": "|", "not": "~", "implies": "->", "iff": "<->", "xor": "^"}
_SIGNS = (
    ("<->", ("<->", "<=>", "↔", "⇔", "≡")),
    ("->", ("->", "=>", "→", "⇒", "⊃")),
    ("~", ("~", "¬", "!", "-")),
    ("&", ("&&", "&", "∧", "/\\")),
    ("|", ("||", "|", "∨", r"\/")),
    ("^", ("^", "⊕")),
    ("(", ("(", "[")),
    (")", (")", "]")),
)
_SPELLINGS = sorted(
    ((spelling, sign) for sign, spellings in _SIGNS for spelling in spellings), key=lambda s: -len(s[0])
)
_NAME = re.compile(r"[^\W\d]\w*")


class UnreadableFormula(ValueError):
    """A text is no formula over the declared variables."""


@dataclass(frozen=True, slots=True)
class Argument:
    """Variables, premises and a conclusion, as a model writes them."""

    variables: tuple[str, ...]
    premises: tuple[str, ...]
    conclusion: str


@dataclass(frozen=True, slots=True)
class Table:
    """What the table shows: how many of `rows` the premises allow, in how many of those the conclusion holds.

    `finding` is None where the premises allow no row: from a contradiction everything would follow.
    """

    rows: int
    allowed: int
    holds: int

    @property
    def finding(self) -> Finding | None:
        if self.allowed == 0:
            return None
        return "True" if self.holds == self.allowed else "False" if self.holds == 0 else "Uncertain"


def decide(argument: Argument) -> Table:
    """Look at every row of the table. Raises UnreadableFormula, also for too many variables or none."""
    names = argument.variables
    if not 0 < len(names) <= MAX_VARIABLES or len(set(names)) != len(names):
        raise UnreadableFormula(f"There must be 1 to {MAX_VARIABLES} variables, each named once.")
    for name in names:
        if not _NAME.fullmatch(name) or name.lower() in (*_NAMES, "true", "false"):
            raise UnreadableFormula(f"{name!r} can't be the name of a variable.")
    rows = 1 << len(names)
    columns = {name: column(at, rows) for at, name in enumerate(names)}
    allowed = (1 << rows) - 1
    for premise in argument.premises:
        allowed &= _Reader(premise, columns, rows).value()
    holds = allowed & _Reader(argument.conclusion, columns, rows).value()
    return Table(rows, allowed.bit_count(), holds.bit_count())


def column(at: int, rows: int) -> int:
    """The variable number `at`: blocks of 2^at rows, false and true in turn."""
    column, width = ((1 << (1 << at)) - 1) << (1 << at), 2 << at
    while width < rows:
        column |= column << width
        width *= 2
    return column


def _tokens(text: str) -> list[str]:
    if len(text) > MAX_LENGTH:
        raise UnreadableFormula(f"A formula has more than {MAX_LENGTH} characters.")
    tokens, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif name := _NAME.match(text, at):
            tokens.append(_NAMES.get(name[0].lower(), name[0]))
            at = name.end()
        elif found := next((pair for pair in _SPELLINGS if text.startswith(pair[0], at)), None):
            tokens.append(found[1])
            at += len(found[0])
        else:
            raise UnreadableFormula(f"{text[at]!r} in {text!r} can't be read.")
    return tokens


class _Reader:
    """Recursive descent; from loosest to tightest: <->, -> (to the right), |, ^, &, ~."""

    def __init__(self, text: str, columns: Mapping[str, int], rows: int) -> None:
        self._text, self._tokens, self._at, self._depth = text, _tokens(text), 0, 0
        self._columns, self._all = columns, (1 << rows) - 1

    def value(self) -> int:
        """The formula's column."""
        value = self._same()
        if self._at < len(self._tokens):
            raise UnreadableFormula(f"{self._text!r} can't be read from {self._tokens[self._at]!r} on.")
        return value

    def _same(self) -> int:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UnreadableFormula("A formula is nested too deeply.")
        value = self._implied()
        while self._take("<->"):
            value = self._all ^ value ^ self._implied()
        self._depth -= 1
        return value

    def _implied(self) -> int:
        sides = [self._either()]
        while self._take("->"):
            sides.append(self._either())
        value = sides.pop()
        while sides:
            value |= self._all ^ sides.pop()
        return value

    def _either(self) -> int:
        value = self._one_of()
        while self._take("|"):
            value |= self._one_of()
        return value

    def _one_of(self) -> int:
        value = self._both()
        while self._take("^"):
            value ^= self._both()
        return value

    def _both(self) -> int:
        value = self._single()
        while self._take("&"):
            value &= self._single()
        return value

    def _single(self) -> int:
        negative = False
        while self._take("~"):
            negative = not negative
        value = self._atom()
        return self._all ^ value if negative else value

    def _atom(self) -> int:
        if self._take("("):
            value = self._same()
            if not self._take(")"):
                raise UnreadableFormula(f"A bracket in {self._text!r} is not closed.")
            return value
        token = self._tokens[self._at] if self._at < len(self._tokens) else ""
        self._at += 1
        if token in self._columns:
            return self._columns[token]
        if token.lower() in ("true", "false"):
            return self._all if token.lower() == "true" else 0
        raise UnreadableFormula(f"{token or 'The end'} in {self._text!r} is no declared variable.")

    def _take(self, token: str) -> bool:
        taken = self._at < len(self._tokens) and self._tokens[self._at] == token
        self._at += taken
        return taken
