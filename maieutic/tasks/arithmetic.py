"""Arithmetic that a model wrote, worked out exactly: four operations, brackets and whole numbers, nothing else.

It is parsed and never evaluated as code; a power or a floor division is not read, whatever it would come to.
"""

import ast
import re
from fractions import Fraction
from typing import NamedTuple

from maieutic.tasks.numbers import plain

MAX_LENGTH = 400
MAX_DIGITS = 200
_SIGNS = {r"\times": "*", r"\cdot": "*", r"\div": "/", "×": "*", "·": "*", "÷": "/", "−": "-", "[": "(", "]": ")"}
_SHAPE = re.compile(r"[0-9+\-*/() ]+")


class Worked(NamedTuple):
    """What an expression is worth, the numbers in it from left to right, and the operations used."""

    value: Fraction
    numbers: list[int]
    operations: set[str]


def work_out(text: str) -> Worked | None:
    """The expression `text`; None where it is none, or divides by zero."""
    text = plain(text[: MAX_LENGTH + 1])
    for sign, plain_sign in _SIGNS.items():
        text = text.replace(sign, plain_sign)
    if len(text) > MAX_LENGTH or not _SHAPE.fullmatch(text) or re.search(r"\*\s*\*|/\s*/|\d\s+\d", text):
        return None
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        numbers: list[int] = []
        operations: set[str] = set()
        value = _worth(tree, numbers, operations)
    except (SyntaxError, ValueError, RecursionError, MemoryError, ZeroDivisionError):
        return None
    return Worked(value, numbers, operations)


def _worth(node: ast.expr, numbers: list[int], operations: set[str]) -> Fraction:
    match node:
        case ast.Constant(value=int(number)):
            numbers.append(number)
            return Fraction(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            operations.add("-")
            return -_worth(operand, numbers, operations)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() as operation, right=right):
            a, b = _worth(left, numbers, operations), _worth(right, numbers, operations)
            return _joined(a, operation, b, operations)
        case _:
            raise ValueError("not arithmetic")


def _joined(a: Fraction, operation: ast.operator, b: Fraction, operations: set[str]) -> Fraction:
    match operation:
        case ast.Add():
            operations.add("+")
            return a + b
        case ast.Sub():
            operations.add("-")
            return a - b
        case ast.Mult():
            operations.add("*")
            return a * b
        case _:
            operations.add("/")
            return a / b
