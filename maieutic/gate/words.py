"""Texts as comparing them needs them: normalised words, and the facts in which two alike questions may differ."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BASE = 0x9E3779B97F4A7C15  # odd, so that no bit of an earlier word is lost
_INVISIBLE: dict[int, None] = dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD))
_THOUSANDS = re.compile(r"(?<=\d)[,\u202f\u00a0](?=\d{3}(?!\d))")
_SYMBOLS = "\u2190-\u23ff\u25a0-\u27bf\U0001f300-\U0001faff\U000e0100-\U000e01ef"  # arrows, operators, shapes, emoji
_SIGN = rf"[-+*/=<>^%×÷±¬&|~{_SYMBOLS}]|!(?=[^\W\d_(])"
_WORD = re.compile(rf"\d+(?:\.\d+)?|[^\W\d_]+|{_SIGN}")
# What prose puts after a word is punctuation; between pieces without words, a sign is what the text is made of there.
_MARK = re.compile(
    rf"(?<![^\W_])[(\[{{.!?'\")\]}}](?![^\W_])|_|[^\w\s\\$`.,;:!?'\"(\[{{)\]}}\-+*/=<>^%×÷±¬&|~{_SYMBOLS}]"
)
_DRAWN = re.compile(r"(?:(?<!\S)(?!\S*[^\W\d_]{2})\S+(?:\s+|$))+")  # pieces between spaces, none with a word in it
_FIGURE = re.compile(rf"\d+(?:\.\d+)?|[^\W\d_]|{_SIGN}|{_MARK.pattern}")
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
    """Words, numbers, symbols and the signs of arithmetic, without case and other punctuation. What is drawn with
    signs, such as a board or brackets to be closed, is taken sign by sign."""
    plain = clean(text).casefold()
    found: list[str] = []
    end = 0
    for drawn in _figures(plain):
        found += _WORD.findall(plain[end : drawn.start()])
        found += _FIGURE.findall(drawn[0])
        end = drawn.end()
    return (*found, *_WORD.findall(plain[end:]))


def _figures(plain: str) -> Iterator[re.Match[str]]:
    """Stretches without words that are made of signs: two or more of those that prose doesn't have there."""
    if _MARK.search(plain):
        for drawn in _DRAWN.finditer(plain):
            if sum(1 for _ in islice(_MARK.finditer(drawn[0]), 2)) == 2:
                yield drawn


def facts(text: str) -> list[str]:
    """What makes another question of a question, in order: numbers, operators, negations, comparisons, names."""
    plain = clean(text)
    found = [(match.start(), match[0].casefold()) for match in _FACT.finditer(plain)]
    found += [(match.start(), match[0].casefold()) for match in _NAME.finditer(plain)]
    for drawn in _figures(plain):
        found += [(drawn.start() + match.start(), match[0].casefold()) for match in _FIGURE.finditer(drawn[0])]
    return [fact for _, fact in sorted(set(found))]


def names(text: str) -> tuple[list[str], list[str]]:
    """Words with a capital within a sentence, and words without one, casefolded."""
    plain = clean(text)
    capital = [match[0].casefold() for match in _NAME.finditer(plain)]
    return capital, [word for word in _WORD.findall(plain) if word.islower()]


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
