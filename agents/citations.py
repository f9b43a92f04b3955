"""Citations: numbers in brackets, each of which has to lead to something that was read; others are taken out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_CITED = re.compile(r"[ \t]?\[(\d{1,3}(?:\s?[,;]\s?\d{1,3})*)\]")
_URL = re.compile(r"[ \t]?[\[(<]?(https?://[^\s<>\"')\]]*[^\s<>\"')\].,;:!?])[\])>]?")
_SENTENCE = re.compile(r"(?<=[.!?\]])\s+(?=[A-Z0-9\"*-])|\n+")
_ANSWER = re.compile(r"(\W{0,6}(?:the\s)?(?:final\s)?answer(?:\sis)?\W{0,3}:)(.*)", re.IGNORECASE | re.DOTALL)
_BEHIND = re.compile(r"(\s*[^\s\[].*?)((?:\s*\[\d{1,3}(?:\s?[,;]\s?\d{1,3})*\])+)[\s.]*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Cited:
    """A text whose citations all resolve: `numbers` are those it has, `dropped` what led nowhere, as it was written."""

    text: str
    numbers: tuple[int, ...]
    dropped: tuple[str, ...]


def resolve(text: str, addresses: Sequence[str]) -> Cited:
    """Check citations against `addresses`, number 1 being the first. A URL among them becomes its number. The line with
    the answer keeps no citation behind the answer, so that it can be compared; it counts as the text's."""
    check = _Check(addresses)
    plain = "\n".join(map(check.line, text.split("\n")))
    return Cited(plain, tuple(sorted(check.numbers)), tuple(check.dropped))


class _Check:
    """One text's citations, as its lines are gone through."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self.numbers: set[int] = set()
        self.dropped: list[str] = []

    def line(self, line: str) -> str:
        if not (answer := _ANSWER.match(line)):
            return _CITED.sub(self._numbered, _URL.sub(self._linked, line))
        behind = _BEHIND.fullmatch(answer[2])  # brackets and URLs may be the answer itself
        if behind is None:
            return line
        _CITED.sub(self._numbered, behind[2])
        return answer[1] + behind[1]

    def _numbered(self, match: "re.Match[str]") -> str:
        named = [int(one) for one in re.findall(r"\d+", match[1])]
        good = [one for one in named if 1 <= one <= len(self._addresses)]
        self.dropped += [f"[{one}]" for one in named if one not in good]
        self.numbers.update(good)
        return f"{_space(match)}[{', '.join(map(str, good))}]" if good else ""

    def _linked(self, match: "re.Match[str]") -> str:
        if match[1] in self._addresses:
            return f"{_space(match)}[{self._addresses.index(match[1]) + 1}]"
        self.dropped.append(match[1])
        return ""


def _space(match: "re.Match[str]") -> str:
    return match[0][:1] if match[0][:1].isspace() else ""


def claims(text: str) -> list[tuple[str, tuple[int, ...]]]:
    """The sentences of a text that cite something, without the marks, and the numbers that each of them cites."""
    found = []
    for sentence in _SENTENCE.split(text):
        numbers = [int(one) for mark in _CITED.findall(sentence) for one in re.findall(r"\d+", mark)]
        if numbers:
            found.append((_CITED.sub("", sentence).strip(), tuple(dict.fromkeys(numbers))))
    return found
