"""Keys of answers that are one thing: a number, an option, yes or no, a text. See `maieutic.tasks.answers`."""

import re
import unicodedata
from collections.abc import Hashable

from maieutic.tasks.numbers import parse_number, plain

_TRUE = frozenset({"yes", "true", "y", "t"})
_FALSE = frozenset({"no", "false", "n", "f"})
_CHOICE = re.compile(
    r"(?:option|choice|answer)?[ ]?[(\[]?(?P<label>[A-Za-z]|[0-9]{1,2})(?:[)\]]|[.:]|[ ]?-[ ]|$)(?:.*)",
    re.DOTALL | re.IGNORECASE,
)
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2212": "-"})
_LEADING_ZERO = re.compile(r"(?:\A[^0-9.]?|/[ ]?)0[0-9]")
_EDGES = " \t\r\n\"'`*.,;:!?"


def number_key(answer: str) -> Hashable | None:
    """The exact value."""
    number = parse_number(answer)
    return None if number is None else number.value


def choice_key(answer: str) -> Hashable | None:
    """The label of the option, in capitals."""
    match = _CHOICE.fullmatch(plain(answer))
    return match["label"].upper() if match else None


def boolean_key(answer: str) -> Hashable | None:
    """True for yes and true, False for no and false; None where both or neither are said."""
    words = re.findall(r"[a-z]+", plain(answer).lower())
    if not words:
        return None
    said = {word in _TRUE for word in words if word in _TRUE | _FALSE and (len(word) > 1 or len(words) == 1)}
    leads = len(words) == 1 or re.match(r"\W*[A-Za-z]+\s*[,.;:!]", plain(answer))
    return said.pop() if len(said) == 1 and leads and words[0] in _TRUE | _FALSE else None


def text_key(answer: str) -> Hashable | None:
    """The text without case, layout and punctuation at its edges."""
    text = " ".join(unicodedata.normalize("NFC", answer).translate(_QUOTES).casefold().split())
    return text.strip(_EDGES) or text


def auto_key(answer: str) -> Hashable | None:
    """The value of a bare number, else the key of the text."""
    # a leading zero is a code, a date or a bit string; a unit makes it a phrase
    number = None if _LEADING_ZERO.search(answer) or "=" in answer else parse_number(answer)
    return text_key(answer) if number is None or number.unit else number.value
