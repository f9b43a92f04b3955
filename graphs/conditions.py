"""Conditions on the edges of a wired graph: comparisons over what the nodes have found, and nothing else."""

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_WORDS = {"true": True, "false": False, "none": None}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition, read. Missing is not zero: a comparison of something that is None is never true, but for == none."""

    text: str
    names: frozenset[str]
    _tree: ast.expr

    def holds(self, facts: Mapping[str, Any]) -> bool:
        return bool(_value(self._tree, facts))


def read_condition(text: str, known: Collection[str]) -> Condition:
    """The condition that `text` spells: names of facts, numbers, true, false, none, texts in quotes, comparisons, and,
    or, not. Raises ValueError, with a sentence, for anything else and for a name that is not known."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"{text!r} is not a condition: write one such as share < 0.7 and round < 3") from error
    names = frozenset(_names(tree, text))
    for name in names:
        if name not in known:
            raise ValueError(f"{text!r} asks for {name!r}, which no node finds. Known: {', '.join(sorted(known))}")
    return Condition(text, names, tree)


def _names(tree: ast.expr, text: str) -> list[str]:
    match tree:
        case ast.Name(id=name):
            return [] if name.lower() in _WORDS else [name]
        case ast.Constant(value=bool() | int() | float() | str() | None):
            return []
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return _names(inner, text)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
            return []
        case ast.BoolOp(values=parts):
            return [name for part in parts for name in _names(part, text)]
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            return _names(left, text) + _names(right, text)
    raise ValueError(f"{text!r} holds more than names, numbers, comparisons, and, or, not")


def _value(tree: ast.expr, facts: Mapping[str, Any]) -> Any:
    match tree:
        case ast.Name(id=name):
            return _WORDS[name.lower()] if name.lower() in _WORDS else facts.get(name)
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return not _value(inner, facts)
        case ast.UnaryOp(operand=inner):
            return -_value(inner, facts)
        case ast.BoolOp(op=op, values=parts):
            found = (bool(_value(part, facts)) for part in parts)
            return all(found) if isinstance(op, ast.And) else any(found)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _compare(op, _value(left, facts), _value(right, facts))
    raise AssertionError("read_condition lets nothing else through")


def _compare(op: ast.cmpop, left: Any, right: Any) -> bool:
    if isinstance(op, ast.Eq | ast.NotEq):
        return _COMPARE[type(op)](left, right)
    if left is None or right is None or isinstance(left, str) is not isinstance(right, str):
        return False
    return _COMPARE[type(op)](left, right)
