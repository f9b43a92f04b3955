"""Texts as comparing them needs them: normalised words, and the facts in which two alike questions may differ."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BASE = 0x9E3779B97F4A7C15  # odd, so that no bit of an earlier word is lost
_INVISIBLE: dict[int, None] = dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD))
_THOUSANDS = re.compile(r"(?<=\d)[,\u202f\u00a0](?=\d{3}(?!\d))")
_WORD = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+|[-+*/=<>^%×÷±≤≥≠√∑∫∀∃¬∧∨→&|~]")
_SAME = str.maketrans({"−": "-", "–": "-", "×": "*", "·": "*", "÷": "/", "’": "'"})
_FACT = re.compile(
    r"\d+(?:\.\d+)?|[-+*/=<>^%±≤≥≠√∑∫∀∃¬∧∨→&|~]|\b(?:no|not|never|none|nor|neither|without|except|cannot|only|all|every|"
    r"some|any|least|most|more|less|fewer|larger|smaller|greater|bigger|before|after|first|last|true|false|and|or|"
    r"minimum|maximum|minimi[sz]e|maximi[sz]e|increas\w*|decreas\w*|odd|even|right|wrong|"
    r"one|two|three|four|five|six|seven|eight|nine|ten|half|twice|third|quarter|\w*n't)\b|\b[^\W\d_]\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<=[^\s.!?:\n] )[A-Z]\w+|(?<=[^\s.!?:\n]  )[A-Z]\w+")  # a capital within a sentence


def clean(text: str) -> str:
    """Compatible forms made one (NFKC), invisible characters and thousands' commas gone, signs made plain."""
    return _THOUSANDS.sub("", unicodedata.normalize("NFKC", text).translate(_INVISIBLE).translate(_SAME))


@lru_cache(maxsize=256)  # each filter asks for the same texts
def words(text: str) -> tuple[str, ...]:
    """Words, numbers and the signs of arithmetic, without case and other punctuation."""
    return tuple(_WORD.findall(clean(text).casefold()))


def facts(text: str) -> list[str]:
    """What makes another question of a question, in order: numbers, operators, negations, comparisons, names."""
    plain = clean(text)
    found = [(match.start(), match[0].casefold()) for match in _FACT.finditer(plain)]
    found += [(match.start(), match[0].casefold()) for match in _NAME.finditer(plain)]
    return [fact for _, fact in sorted(set(found))]


def numbers(text: str) -> list[str]:
    """The numbers of a text, sorted."""
    return sorted(word for word in words(text) if word[0].isdecimal())


def grams(tokens: Sequence[str], n: int) -> "NDArray[np.uint64]":
    """Hashes of all runs of n words: a polynomial of the words' own hashes, the same in every process."""
    import numpy as np

    hashes = np.fromiter(map(_word_hash, tokens), dtype=np.uint64, count=len(tokens))
    number = max(0, len(hashes) - n + 1)
    made = np.zeros(number, dtype=np.uint64)
    for i in range(n):
        made *= np.uint64(_BASE)
        made += hashes[i : i + number]
    return made


def gram_hash(tokens: Sequence[str]) -> int:
    """The hash of all the words as one run."""
    return int(grams(tokens, len(tokens))[0]) if tokens else 0


@lru_cache(maxsize=2**17)
def _word_hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "big")
