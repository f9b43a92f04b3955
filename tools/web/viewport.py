"""A long text seen through windows of one size, each repeating the end of the one before, and what is where in it."""

import re
from dataclasses import dataclass

from maieutic.errors import ToolError

SIZE = 10_000
OVERLAP = 200
_JOINT = 400  # characters at the end of a window in which a line or a sentence may end


@dataclass(frozen=True, slots=True)
class Window:
    """Characters `start` to `end` of a text; `number` counts from 1."""

    number: int
    start: int
    end: int
    text: str


def windows(text: str, size: int = SIZE, overlap: int = OVERLAP) -> list[Window]:
    """The windows of a text, at least one. Each is at most `size` characters and ends at a line, a sentence or a word
    where one ends near; each but the first begins with the last `overlap` characters of the one before."""
    if not 0 <= overlap < size // 2:
        raise ValueError(f"windows of {size} characters can't overlap by {overlap}")
    found: list[Window] = []
    start, end = 0, 0
    while not found or end < len(text):
        end = _joint(text, start, min(start + size, len(text)), overlap)
        found.append(Window(len(found) + 1, start, end, text[start:end]))
        start = end - overlap
    return found


def _joint(text: str, start: int, end: int, overlap: int) -> int:
    if end == len(text):
        return end
    lowest = max(end - _JOINT, start + overlap + 1, (start + end) // 2)
    for joint in ("\n\n", "\n", ". ", " "):
        at = text.rfind(joint, lowest, end)
        if at > 0:
            return at + len(joint)
    return end


def window(text: str, number: int, size: int = SIZE, overlap: int = OVERLAP) -> tuple[Window, int]:
    """The window of this number, and how many there are. Raises ToolError for a number that there isn't."""
    all_ = windows(text, size, overlap)
    if not 1 <= number <= len(all_):
        raise ToolError(f"There is no page {number}: this text has {len(all_)} page{'s' if len(all_) > 1 else ''}.")
    return all_[number - 1], len(all_)


@dataclass(frozen=True, slots=True)
class Match:
    """Words found at the character `at`, on the page `number`, with the text around them on one line."""

    number: int
    at: int
    around: str


def find(text: str, words: str, size: int = SIZE, overlap: int = OVERLAP, around: int = 150) -> list[Match]:
    """Each place of `words` in the text, whatever their case and the white space between them."""
    parts = words.split()
    if not parts:
        raise ToolError("Nothing is to be found: give the words to look for.")
    pattern = re.compile(r"\s+".join(map(re.escape, parts)), re.IGNORECASE)
    all_ = windows(text, size, overlap)
    matches: list[Match] = []
    page = 0
    for found in pattern.finditer(text):
        while page + 1 < len(all_) and found.end() > all_[page].end:
            page += 1
        shown = " ".join(text[max(0, found.start() - around) : found.end() + around].split())
        matches.append(Match(all_[page].number, found.start(), shown))
    return matches
