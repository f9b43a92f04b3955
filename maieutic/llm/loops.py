"""The loop guard: notices, while an answer streams, that it does nothing but repeat itself.

A model that has said a sentence several times in a row is ever more likely to say it again (arXiv 2206.02369), until
its tokens are used up; in people's texts such runs are rare. So what counts is how often the same thing has come in a
row, and what kind of thing it is: a table, an array or code repeats itself for good reasons, prose does not. A false
alarm costs an answer and a late one only tokens, so the thresholds are high:

| what comes again | is a loop after |
|---|---|
| prose, word for word | 10 times and 300 characters, or 4 times and 3,000 characters |
| prose, but for numbers that count up by one | 100 times |
| with fewer words, or with more signs than words | 50 times and 1,000 characters |
| with one word only | 150 times and 1,000 characters |
| without any | 100 times and 2,000 characters |

Each word, number or sign is compared once with what came a period before, and its last four are looked up once: the
time is linear in the text. A period is at most 512 units long.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Any

from maieutic.llm.model import Enough
from maieutic.types import Delta, Request

REPETITION = "repetition"  # the finish reason; vLLM's own word as well

# What a vLLM server is asked for where the answer isn't streamed. It compares tokens and doesn't know what they say, so
# it must wait longer: for 24 equal pieces of 20 to 40 tokens (a shorter piece is met as its own multiple).
NATIVE: dict[str, Any] = {"min_pattern_size": 20, "max_pattern_size": 40, "min_count": 24}

PROSE_TIMES, PROSE_LENGTH = 10, 300
LONG_TIMES, LONG_LENGTH = 4, 3000
NUMBERED_TIMES = 100
SIGNS_TIMES, SIGNS_LENGTH = 50, 1000
WORD_TIMES, WORD_LENGTH = 150, 1000
WORDLESS_TIMES, WORDLESS_LENGTH = 100, 2000
PROSE_WORDS = 4

# Long words and numbers are cut in pieces, so that a loop inside of one is seen as well.
UNIT = re.compile(r"[^\W\d_]{1,16}|\d{1,16}|\n|[^\S\n]{2,16}|[^\w\s]|_")
LONGEST_UNIT = 16
PERIOD = 512
GRAM = 4


class LoopGuard:
    """Listens to one streamed call; raises `Enough("repetition")` when what arrives goes in circles.

    Thoughts and answer are watched apart. What a model writes into a tool call is not watched.
    """

    def __init__(self) -> None:
        self._text = LoopDetector()
        self._reasoning = LoopDetector()

    def __call__(self, delta: Delta) -> None:
        if (delta.text and self._text.feed(delta.text)) or (delta.reasoning and self._reasoning.feed(delta.reasoning)):
            raise Enough(REPETITION)


def guarded_by_server(request: Request) -> Request:
    """The request, asking a vLLM server to watch for loops itself unless it says how already."""
    limit, extra = request.sampling.max_tokens, request.sampling.extra
    short = limit is not None and limit < NATIVE["min_pattern_size"] * NATIVE["min_count"]
    if short or "repetition_detection" in extra:
        return request
    return replace(request, sampling=replace(request.sampling, extra={**extra, "repetition_detection": NATIVE}))


class LoopDetector:
    """Finds out whether a text that comes in pieces has become a loop."""

    def __init__(self) -> None:
        self._rest = ""
        self._exact = _Run()
        self._numbered = _Run(counting=True)

    def feed(self, piece: str) -> bool:
        """Take the next piece of the text; True when it is a loop by now."""
        text = self._rest + piece
        start = 0
        for match in UNIT.finditer(text):
            if match.end() == len(text) and match.end() - match.start() < LONGEST_UNIT:
                start = match.start()  # it may go on in the next piece
                break
            start = match.end()
            if self._take(match[0]):
                return True
        self._rest = text[start:]
        return False

    def _take(self, unit: str) -> bool:
        exact, numbered = self._exact, self._numbered
        exact.add(unit, unit)
        numbered.add("0" if unit.isdecimal() else unit, unit)
        if exact.period and exact.matched >= exact.next_look:
            return exact.is_loop()
        return bool(numbered.period) and numbered.matched >= numbered.next_look and numbered.is_loop()


@dataclass(slots=True)
class _Run:
    """How long the newest units have been the same as those one period before.

    With `counting`, numbers count as the same where they are equal or one more. `matched` counts the units that did
    so, `length` their characters.
    """

    counting: bool = False
    period: int = 0
    matched: int = 0
    length: int = 0
    next_look: int = 0
    _units: list[str] = field(default_factory=list)
    _raw: list[str] = field(default_factory=list)
    _seen: dict[tuple[str, ...], int] = field(default_factory=dict)
    _dropped: int = 0

    def add(self, unit: str, raw: str) -> None:
        """Take the next unit; `raw` is what it was before numbers were made alike."""
        units = self._units
        units.append(unit)
        if self.counting:
            self._raw.append(raw)
        if self.period and not self._same(self.period):
            self.period = 0
        gram = tuple(units[-GRAM:])
        at = self._dropped + len(units)
        if self.period:
            self.matched += 1
            self.length += len(raw)
        elif (before := self._seen.get(gram)) is not None and at - before <= PERIOD and self._same(at - before):
            self.period, self.matched, self.length = at - before, 1, len(raw)
            self.next_look = LONG_TIMES * self.period
        self._seen[gram] = at
        if len(units) > 4 * PERIOD:
            self._forget()

    def is_loop(self) -> bool:
        """Whether that is enough to call it a loop; sets when to look again."""
        units = self._units[-self.period :]
        words = [u for u in units if u[0].isalpha()]
        signs = len(units) - len(words) - units.count("\n")
        times, length = self.matched // self.period, self.length
        self.next_look = self.matched + self.period
        if len(set(words)) >= PROSE_WORDS and len(words) >= signs:
            if self.counting:
                return times >= NUMBERED_TIMES
            return (times >= PROSE_TIMES and length >= PROSE_LENGTH) or (times >= LONG_TIMES and length >= LONG_LENGTH)
        if self.counting:
            return False
        if len(set(words)) == 1:
            return times >= WORD_TIMES and length >= WORD_LENGTH
        if words:
            return times >= SIGNS_TIMES and length >= SIGNS_LENGTH
        return times >= WORDLESS_TIMES and length >= WORDLESS_LENGTH

    def _same(self, period: int) -> bool:
        units = self._units
        if period >= len(units) or units[-1] != units[-1 - period]:
            return False
        if not self.counting or units[-1] != "0":
            return True
        return int(self._raw[-1]) - int(self._raw[-1 - period]) in (0, 1)

    def _forget(self) -> None:
        """Drop what lies further back than a period can reach."""
        gone = len(self._units) - PERIOD - 1
        del self._units[:gone]
        del self._raw[:gone]
        self._dropped += gone
        self._seen = {gram: at for gram, at in self._seen.items() if at > self._dropped}
