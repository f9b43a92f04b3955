"""Comparing formulas by what they are worth.

Symbolic simplification can't be bounded in time, and fails to see some equalities; so two formulas are equal here when
they have the same value, to 30 digits of 60, at six fixed complex points. Equal formulas that differ there, or others
that agree, would take a coincidence of one in 10**20. The key of a formula is the list of those values, which makes
equality an equivalence relation that can be hashed.
"""

import hashlib
from collections.abc import Hashable
from threading import Lock
from typing import Any

import mpmath  # type: ignore[import-untyped]

from maieutic.tasks.formula import read_formula

_POINTS = 6
_DIGITS = 60
_one_at_a_time = Lock()  # mpmath's precision belongs to the whole process


def formula_key(text: str) -> Hashable | None:
    """A key that equal formulas share; None where `text` isn't a formula, or is too large.

    "y = 2x" is the formula 2x; other equations are equal when their sides differ by a constant factor. Safe to call
    from several threads.
    """
    with _one_at_a_time:
        return _key(text)


def _key(text: str) -> Hashable | None:
    sides = read_formula(text)
    if sides is None:
        return None
    if len(sides) == 1:
        return _rounded(_values(sides[0]))
    left, right = sides
    if left.is_Symbol and left not in right.free_symbols:
        return _rounded(_values(right))
    values = _values(left - right)
    first = next((value for value in values if value), None)
    return None if first is None else _rounded([None if value is None else value / first for value in values], "=")


def _values(expression: Any) -> list[Any]:
    """The value at each point, None where it is undefined or out of range."""
    values: list[Any] = []
    with mpmath.workdps(_DIGITS):
        for point in range(_POINTS):
            try:
                values.append(_value(expression, point))
            except (ArithmeticError, ValueError):
                values.append(None)
    return values


def _value(expression: Any, point: int) -> Any:
    if expression.is_Symbol:
        digest = hashlib.blake2b(f"{expression.name}/{point}".encode(), digest_size=16).digest()
        real, imaginary = (int.from_bytes(part, "big") / 2**64 for part in (digest[:8], digest[8:]))
        return mpmath.mpc(2 * real - 1 + (1 if point % 2 else -1), imaginary - 0.5 if point > 1 else 0)
    if expression.is_Atom:
        return mpmath.mpmathify(expression.evalf(_DIGITS))
    parts = [_value(part, point) for part in expression.args]
    if expression.is_Add:
        return mpmath.fsum(parts)
    if expression.is_Mul:
        return mpmath.fprod(parts)
    if expression.is_Pow:
        base, exponent = parts
        if base and abs(exponent * mpmath.log(base)) > 10_000:
            raise OverflowError
        return mpmath.power(base, exponent)
    (argument,) = parts
    if abs(argument) > 10_000:
        raise OverflowError
    name = type(expression).__name__
    return mpmath.fabs(argument) if name == "Abs" else getattr(mpmath, name)(argument)


def _rounded(values: list[Any], tag: str = "") -> Hashable | None:
    """The values to 30 digits; None unless most are defined."""
    if sum(value is None for value in values) > 2:
        return None
    key: list[Hashable] = [tag]
    with mpmath.workdps(_DIGITS):
        for value in values:
            size = 0 if value is None else abs(value)
            if value is None or size < mpmath.mpf(10) ** -35:
                key.append(None if value is None else 0)
                continue
            # the nudge keeps 999…9 and 1000…0, one value computed in two ways, in one decade
            exponent = int(mpmath.floor(mpmath.log10(size) + mpmath.mpf(10) ** -9)) - 29
            step = mpmath.mpf(10) ** exponent
            whole = mpmath.mpc(value)
            key.append((int(mpmath.nint(whole.real / step)), int(mpmath.nint(whole.imag / step)), exponent))
    return tuple(key)
