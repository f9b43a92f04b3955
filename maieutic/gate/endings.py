"""Samples that end where nobody would end: cut off by a limit, left open, empty, or going in circles."""

import re

from maieutic.gate.sample import Sample
from maieutic.llm.loops import PROSE_LENGTH, REPETITION, LoopDetector

CUT = ("length", "max_tokens", "abort", "content_filter")  # servers' words for an answer that had no end of its own
_FENCE = re.compile(r"^\s*(?:```|~~~)", re.MULTILINE)
_TAGS = ("think", "thinking", "reasoning", "answer", "tool_call")


class Cut:
    """Reason: the row states that an answer was cut short, or an answer has an open end (a tag, a code block), or
    says nothing. A text that merely ends without a full stop is none."""

    name = "cut short"

    def __call__(self, sample: Sample) -> str | None:
        stated = next((reason for reason in sample.finished if reason in CUT), None)
        if stated:
            return f"cut short: finish reason {stated}"
        if sample.bare or not sample.said:
            return None
        if not any(text.strip() for text in sample.said):
            return "cut short: an empty answer"
        for text in sample.said:
            if len(_FENCE.findall(text)) % 2:
                return "cut short: a code block without an end"
            for tag in _TAGS:
                if text.count(f"<{tag}>") > text.count(f"</{tag}>"):
                    return f"cut short: <{tag}> without an end"
        return None


class Loop:
    """Reason: an answer repeats itself, by the measures of the loop guard."""

    name = "loop"

    def __call__(self, sample: Sample) -> str | None:
        if REPETITION in sample.finished:
            return "loop: stopped while it repeated itself"
        long = (text for text in sample.said if len(text) >= PROSE_LENGTH)  # no shorter text is a loop by any measure
        looping = any(LoopDetector().feed(text + "\n") for text in long)
        return "loop: an answer goes in circles" if looping else None
