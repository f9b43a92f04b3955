"""When two answers are the same answer, by type.

Votes, verifiers and debates all compare answers through `canonical`, so that they can't disagree about what agrees.
"""

from collections.abc import Callable, Hashable
from functools import lru_cache

from maieutic.tasks.extraction import extract, without_thoughts
from maieutic.tasks.scalars import auto_key, boolean_key, choice_key, number_key, text_key
from maieutic.tasks.structures import json_key, list_key, set_key
from maieutic.tasks.task import AnswerType

__all__ = ["canonical", "equivalent", "extract", "without_thoughts"]

MAX_ANSWER = 20_000


@lru_cache(maxsize=4096)  # a vote is counted again with every answer that comes in
def canonical(answer: str, answer_type: AnswerType = "auto") -> Hashable | None:
    """A key that two answers share exactly when they are the same answer; None where `answer` isn't of the type.

    number   its exact value: 0.5, 1/2 and 50% are one answer, and so are 5, 5.0 and $5.00
    choice   the letter (or number) of the option
    set      its items, numbers by value and the rest as text, without order or repetition
    list     its items in order
    boolean  yes/true against no/false
    json     the structure; 1 and 1.0 are equal, 1 and true are not
    formula  a key that compares by mathematical equality
    text     case, white space, quotation marks and punctuation at the edges are ignored
    auto     a number if it reads as one, else text
    """
    answer = answer.strip()
    if not answer or len(answer) > MAX_ANSWER:
        return None
    return _CANONICAL[answer_type](answer)


def equivalent(a: str, b: str, answer_type: AnswerType = "auto") -> bool:
    """Whether `a` and `b` are the same answer; False where either isn't of the type."""
    key = canonical(a, answer_type)
    return key is not None and key == canonical(b, answer_type)


def _formula(answer: str) -> Hashable | None:
    from maieutic.tasks.formula_key import formula_key  # SymPy takes half a second to import

    return formula_key(answer)


_CANONICAL: dict[AnswerType, Callable[[str], Hashable | None]] = {
    "auto": auto_key,
    "number": number_key,
    "choice": choice_key,
    "set": set_key,
    "list": list_key,
    "boolean": boolean_key,
    "json": json_key,
    "formula": _formula,
    "text": text_key,
}
