"""Reading a formula as a SymPy expression, without `eval`.

SymPy's own parsers evaluate Python, and a model wrote the text. This reader knows only numbers, letters, operators and
a list of functions. Length, nesting and the size of constants are bounded, so that `9**9**9**9` is refused and not
computed.
"""

import re
from collections.abc import Iterator
from typing import Any

import sympy  # type: ignore[import-untyped]

from maieutic.tasks.numbers import untypeset

MAX_LENGTH = 500
MAX_TOKENS = 200
MAX_DEPTH = 20
MAX_BITS = 8192

_FUNCTIONS = {
    name: name
    for name in "sin cos tan cot sec csc asin acos atan sinh cosh tanh asinh acosh atanh exp log sqrt".split()
} | {"ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "abs": "Abs"}
_GREEK = frozenset("alpha beta gamma delta epsilon theta lambda mu nu rho sigma tau phi chi psi omega".split())
_NOT_PRODUCTS = frozenset(("nan", "inf", "oo", "none", "null", "true", "yes", "no"))
_PLAIN = str.maketrans({"·": "*", "⋅": "*", "×": "*", "÷": "/", "∗": "*", "²": "^2", "³": "^3", "[": "(", "]": ")"})
_COMMANDS = {r"\cdot": "*", r"\times": "*", r"\div": "/", r"\left": "", r"\right": "", "π": " pi ", "√": " sqrt "}
_GROUPS = (
    (re.compile(r"\\sqrt\s*\[([^\[\]{}]{1,9})\]\s*\{([^{}]*)\}"), r"((\2)^(1/(\1)))"),
    (re.compile(r"\\sqrt\s*\{([^{}]*)\}"), r"(sqrt(\1))"),
    (re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"((\1)/(\2))"),
    (re.compile(r"\^\s*\{([^{}]*)\}"), r"^(\1)"),
)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][0-9]{1,3})?)|\\?(?P<name>[A-Za-z]+)(?:_\{?(?P<sub>[A-Za-z0-9]{1,8})\}?)?"
    r"|(?P<op>\*\*|[-+*/^()=]))"
)


class _Unreadable(Exception):
    pass


def read_formula(text: str) -> list[Any] | None:
    """The SymPy expression that `text` is, or the two sides of an equation; None where it can't be read."""
    if len(text) > MAX_LENGTH:
        return None
    try:
        tokens = list(_tokens(_without_latex(untypeset(text))))
        if len(tokens) > MAX_TOKENS:
            return None
        parser = _Parser(tokens)
        sides = [parser.sum()]
        if parser.take("="):
            sides.append(parser.sum())
        return None if parser.left() or any(_undefined(side) for side in sides) else sides
    except (_Unreadable, ZeroDivisionError, OverflowError):
        return None


def _undefined(side: Any) -> bool:
    return bool(side.has(sympy.nan, sympy.zoo, sympy.oo))


def _without_latex(text: str) -> str:
    for command, replacement in _COMMANDS.items():
        text = text.replace(command, replacement)
    for _ in range(MAX_DEPTH):
        before = text
        for pattern, replacement in _GROUPS:
            text = pattern.sub(replacement, text)
        if text == before:
            return text.translate(_PLAIN)
    raise _Unreadable


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """(kind, text) with kind number, symbol, function or operator; unknown words are products of their letters."""
    at = 0
    text = text.rstrip(" .")
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _Unreadable
        at = match.end()
        name = match["name"]
        if match["number"]:
            yield "number", match["number"]
        elif match["op"]:
            yield "operator", "^" if match["op"] == "**" else match["op"]
        elif match["sub"]:
            yield "symbol", f"{name}_{match['sub']}"
        elif name in _FUNCTIONS:
            yield "function", _FUNCTIONS[name]
        elif name in _GREEK or name == "pi":
            yield "symbol", name
        elif len(name) <= 4 and name.lower() not in _NOT_PRODUCTS:
            yield from (("symbol", letter) for letter in name)
        else:
            raise _Unreadable


class _Parser:
    """Recursive descent over sum, product, power, atom; multiplication may be left out."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def left(self) -> bool:
        return self._at < len(self._tokens)

    def take(self, operators: str) -> str | None:
        kind, text = self._peek()
        if kind == "operator" and text in operators:
            self._at += 1
            return text
        return None

    def sum(self) -> Any:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Unreadable
        value = self._product()
        while sign := self.take("+-"):
            term = self._product()
            value = value + term if sign == "+" else value - term
        self._depth -= 1
        return value

    def _product(self) -> Any:
        value = self._signed()
        while True:
            if operator := self.take("*/"):
                factor = self._signed()
                value = value * factor if operator == "*" else _quotient(value, factor)
            elif self._starts_factor():
                value = value * self._power()
            else:
                return value

    def _signed(self) -> Any:
        negative = False
        while sign := self.take("+-"):
            negative ^= sign == "-"
        value = self._power()
        return -value if negative else value

    def _power(self) -> Any:
        value = self._atom()
        return _raised(value, self._exponent()) if self.take("^") else value

    def _exponent(self) -> Any:
        """The exponent after "^": a signed atom, itself raised where another "^" follows."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Unreadable
        value = self._signed()
        self._depth -= 1
        return value

    def _atom(self) -> Any:
        kind, text = self._peek()
        self._at += 1
        if kind == "number" and len(text) <= 60:
            return sympy.Rational(text)
        if kind == "symbol":
            return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I}.get(text, sympy.Symbol(text))
        if kind == "function":
            return self._call(getattr(sympy, text))
        if text == "(":
            value = self.sum()
            if self.take(")"):
                return value
        raise _Unreadable

    def _call(self, function: Any) -> Any:
        """A call: sin(x), sin x, sin 2x, sin^2(x)."""
        exponent = self._atom() if self.take("^") else None
        if self._peek() == ("operator", "("):
            argument = self._atom()
        else:
            argument = self._power()
            while self._peek()[0] in ("number", "symbol"):
                argument = argument * self._power()
        value = function(argument)
        return value if exponent is None else _raised(value, exponent)

    def _starts_factor(self) -> bool:
        kind, text = self._peek()
        return kind in ("number", "symbol", "function") or text == "("

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self.left() else ("end", "")


def _quotient(value: Any, divisor: Any) -> Any:
    if divisor == 0:
        raise _Unreadable
    return value / divisor


def _raised(base: Any, exponent: Any) -> Any:
    if base.is_Rational and exponent.is_Rational:
        bits = max(int(base.p).bit_length(), int(base.q).bit_length())
        if bits * max(abs(int(exponent.p)), 1) > MAX_BITS or int(exponent.q) > 100 or (base == 0 and exponent < 0):
            raise _Unreadable
    elif base.is_number and exponent.is_number and exponent.is_Rational and abs(exponent) > 1000:
        raise _Unreadable
    return base**exponent
