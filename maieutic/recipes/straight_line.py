"""Straight-line arithmetic programs, one statement after another, and the state after each: no code is run.

Only assignments of arithmetic to names are understood, which is what programs for word problems mostly are; a program
with anything else has no states from there on.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

State = tuple[Fraction, ...]

_BIG, _DEEP = 10**30, 64
_BINARY: Mapping[type, Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda a, b: Fraction(a // b),
    ast.Mod: operator.mod,
}


class Unknown(ValueError):
    """Something that isn't arithmetic."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A statement: the line after which it ends, and the values of all names then, sorted, without their names; None
    from the first statement on that is not understood."""

    end: int
    state: State | None


def stretches(program: str) -> list[Stretch]:
    """The statements of a program in their order; empty where it is no Python."""
    try:
        body = ast.parse(program).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    values: dict[str, Fraction] | None = {}
    found: list[Stretch] = []
    for statement in body:
        if values is not None and not _is_print(statement):
            try:
                values = _after(values, statement)
            except (Unknown, ZeroDivisionError, OverflowError):
                values = None
        state = None if values is None else tuple(sorted(values.values()))
        found.append(Stretch(statement.end_lineno or 0, state))
    return found


def _is_print(statement: ast.stmt) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print"


def _after(values: dict[str, Fraction], statement: ast.stmt) -> dict[str, Fraction]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return {**values, name: _worth(value, values)}
        case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
            left = ast.Name(id=name, ctx=ast.Load())
            return {**values, name: _worth(ast.BinOp(left=left, op=op, right=value), values)}
    raise Unknown


def _worth(node: ast.expr, values: Mapping[str, Fraction], depth: int = 0) -> Fraction:
    """What an expression comes to, exactly. Raises Unknown for what is no arithmetic or grows out of bounds."""
    if depth > _DEEP:
        raise Unknown
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            made = Fraction(str(number))
        case ast.Name(id=name) if name in values:
            made = values[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            made = -_worth(operand, values, depth + 1)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            base, exponent = _worth(left, values, depth + 1), _worth(right, values, depth + 1)
            if exponent.denominator != 1 or abs(exponent) > _DEEP:
                raise Unknown
            made = base ** int(exponent)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            made = _BINARY[type(op)](_worth(left, values, depth + 1), _worth(right, values, depth + 1))
        case _:
            raise Unknown
    if abs(made) > _BIG or made.denominator > _BIG:
        raise Unknown
    return made
