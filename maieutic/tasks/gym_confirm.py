"""Where a reasoning-gym scorer gives full marks too easily, a second look at what it accepted.

Found by scoring wrong answers (of other entries, cut, doubled, negated, prose) with every scorer of version 0.1.25:
- coin_flip compares digit by digit, so that "0" is full marks for 0.25, and takes 0 for any small chance
- game_of_life_halting compares the truth of non-empty strings, so that every answer is right
- gsm_symbolic reads the first digits and drops the sign, so that -31 is right for 31
- puzzle24 takes any four numbers in range, not the four given, and any value that rounds down to 24
"""

import re
from collections.abc import Callable
from typing import Any

from maieutic.tasks.answers import equivalent
from maieutic.tasks.numbers import parse_number


def confirmed(dataset: str, answer: str, entry: dict[str, Any]) -> bool:
    """Whether `answer`, which the scorer of `dataset` gave full marks, deserves them."""
    confirm = _CONFIRM.get(dataset)
    return confirm is None or confirm(answer, entry)


def _close(answer: str, entry: dict[str, Any]) -> bool:
    found, gold = parse_number(answer), parse_number(entry["answer"])
    return bool(found and gold and abs(found.value - gold.value) <= gold.value / 100)


def _same_truth(answer: str, entry: dict[str, Any]) -> bool:
    return equivalent(answer, entry["answer"], "boolean")


def _same_number(answer: str, entry: dict[str, Any]) -> bool:
    return equivalent(answer, entry["answer"], "number")


def _makes_24(answer: str, entry: dict[str, Any]) -> bool:
    from sympy import parse_expr  # type: ignore[import-untyped]

    used = sorted(int(digits) for digits in re.findall(r"[0-9]+", answer))
    return used == sorted(entry["metadata"]["numbers"]) and bool(parse_expr(answer) == 24)


_CONFIRM: dict[str, Callable[[str, dict[str, Any]], bool]] = {
    "coin_flip": _close,
    "game_of_life_halting": _same_truth,
    "gsm_symbolic": _same_number,
    "puzzle24": _makes_24,
}
