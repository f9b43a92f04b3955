"""Keys of answers that hold others: lists, sets and JSON. See `maieutic.tasks.answers`."""

import json
import re
from collections.abc import Hashable
from contextlib import suppress
from fractions import Fraction
from typing import Any

from maieutic.tasks.numbers import parse_number, untypeset
from maieutic.tasks.scalars import auto_key, text_key

MAX_DEPTH = 20

_SET_MARKS = re.compile(r"\\left|\\right")
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_BREAK = re.compile(r"[()\[\]{};\n]|(?<![A-Za-z])'|'(?![A-Za-z])|\"|,?[ ]+and[ ]+|,")


def list_key(answer: str) -> Hashable | None:
    """The keys of the items, in order; None where brackets are nested too deeply."""
    try:
        return _items(answer)
    except RecursionError:
        return None


def set_key(answer: str) -> Hashable | None:
    """The keys of the items, as a set."""
    items = list_key(answer)
    return frozenset(items) if isinstance(items, tuple) else None


def json_key(answer: str) -> Hashable | None:
    """The structure, in tagged tuples, so that 1 and true stay apart."""
    try:
        return _frozen(_parsed(answer))
    except (ValueError, RecursionError):
        return None


def _items(answer: str, depth: int = 0) -> tuple[Hashable, ...]:
    if depth > MAX_DEPTH:
        raise RecursionError
    body = answer if answer.isascii() and answer[:1] == "[" else untypeset(answer)
    if body[:1] == "[":
        with suppress(ValueError):
            value = _parsed(body)
            return tuple(_item(part, depth) for part in value)
    body = _SET_MARKS.sub("", body.replace(r"\{", "{").replace(r"\}", "}")).strip()
    if _enclosed(body):
        body = body[1:-1].strip()
    elif body in ("∅", r"\emptyset", r"\varnothing"):
        body = ""
    return tuple(_item(part, depth) for part in _split(body))


def _item(part: Any, depth: int) -> Hashable:
    match part:
        case list():
            return tuple(_item(inner, depth + 1) for inner in part)
        case str():
            return _items(part, depth + 1) if _enclosed(part) else auto_key(part)
        case dict():
            return _frozen(part)
        case bool() | None:
            return text_key(json.dumps(part))
        case _:
            return Fraction(part)


def _enclosed(body: str) -> bool:
    """Whether one pair of brackets holds all of `body`."""
    if len(body) < 2 or body[0] not in _PAIRS or body[-1] != _PAIRS[body[0]]:
        return False
    depth = 0
    for position, mark in enumerate(body):
        depth += (mark in _PAIRS) - (mark in _PAIRS.values())
        if depth == 0:
            return position == len(body) - 1
    return False


def _split(body: str) -> list[str]:
    """The items of `body`: between semicolons or line ends if there are any, else between commas, outside brackets."""
    marks: list[tuple[int, int, str]] = []
    depth, quote = 0, ""
    for match in _BREAK.finditer(body):
        mark = match[0]
        if quote or mark in "\"'":
            quote = "" if mark == quote else quote or mark
        elif mark in _PAIRS or mark in _PAIRS.values():
            depth += 1 if mark in _PAIRS else -1
        elif depth == 0:
            marks.append((match.start(), match.end(), mark.strip(" ") or mark))
    strong = [mark for mark in marks if mark[2] in (";", "\n")]
    starts = [0, *(mark[1] for mark in strong or marks)]
    ends = [*(mark[0] for mark in strong or marks), len(body)]
    parts = (body[start:end].strip() for start, end in zip(starts, ends, strict=True))
    return [part for part in parts if part]


def _parsed(answer: str) -> Any:
    """`answer` as JSON with exact numbers. Raises ValueError where it isn't JSON."""
    return json.loads(answer, parse_constant=_refuse, parse_float=_exact)


def _exact(digits: str) -> Fraction:
    number = parse_number(digits)
    if number is None:
        raise ValueError(f"{digits} is out of range")
    return number.value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _frozen(value: Any) -> Hashable:
    match value:
        case dict():
            return ("object", frozenset((key, _frozen(item)) for key, item in value.items()))
        case list():
            return ("array", tuple(_frozen(item) for item in value))
        case bool() | None:
            return ("constant", value)
        case int() | Fraction():
            return ("number", Fraction(value))
        case _:
            return ("string", value)
