"""The `Words` noun: the words by which a thought is seen to affirm, to look back, or to verify."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

AFFIRMING = ("yeah", "yes", "final answer", "confident")
REFLECTING = ("wait", "alternatively", "hold on", "another")
VERIFYING = ("verify", "think again", "recap", "check")


@dataclass(frozen=True, slots=True)
class Words:
    """Three lists, in lower case; a word counts where it begins a word of the text, so that `check` is in `checking`.

    The defaults are those of Speculative Thinking (Yang et al. 2025, arXiv 2504.12329).
    """

    affirming: tuple[str, ...] = AFFIRMING
    reflecting: tuple[str, ...] = REFLECTING
    verifying: tuple[str, ...] = VERIFYING

    def leaning(self, text: str) -> int:
        """1 where `text` affirms more than it looks back or verifies, -1 where it does as much or less, 0 where it says
        none of the words."""
        positive = _count(self.affirming, text)
        negative = _count((*self.reflecting, *self.verifying), text)
        if positive == negative == 0:
            return 0
        return 1 if positive > negative else -1

    def verifies(self, text: str) -> bool:
        """Whether `text` says that something is to be verified."""
        return _count(self.verifying, text) > 0


def _count(words: Iterable[str], text: str) -> int:
    found = [re.findall(rf"\b{re.escape(word.lower())}", text.lower()) for word in words if word]
    return sum(map(len, found))
