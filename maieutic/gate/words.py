"""Texts as comparing them needs them: normalised words, and the facts in which two alike questions may differ."""

import re
import unicodedata
from collections.abc import Sequence
from hashlib import blake2b

_INVISIBLE = dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD))  # put between letters, they hide a copy
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


def words(text: str) -> list[str]:
    """Words, numbers and the signs of arithmetic, without case and other punctuation."""
    return _WORD.findall(clean(text).casefold())


def facts(text: str) -> list[str]:
    """What makes another question of a question, in order: numbers, operators, negations, comparisons, names."""
    plain = clean(text)
    found = [(match.start(), match[0].casefold()) for match in _FACT.finditer(plain)]
    found += [(match.start(), match[0].casefold()) for match in _NAME.finditer(plain)]
    return [fact for _, fact in sorted(set(found))]


def numbers(text: str) -> list[str]:
    """The numbers of a text, sorted."""
    return sorted(word for word in words(text) if word[0].isdecimal())


def grams(tokens: Sequence[str], n: int) -> list[int]:
    """Hashes of all runs of n words."""
    return [gram_hash(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def gram_hash(tokens: Sequence[str]) -> int:
    return int.from_bytes(blake2b(" ".join(tokens).encode("utf-8", "replace"), digest_size=8).digest(), "big")
