"""Abstention: "I don't know" as an answer, how it is asked for and how it is recognised.

An abstention is neither right nor wrong: its outcome is `abstained` and its score None. Reports count it as not correct
over all questions, and leave it out of the accuracy over those that were answered.
"""

import re

ABSTENTION = "I don't know"
"""The words in which a prompt offers it: shared, so that what is asked for is what is recognised."""

_EDGES = " \t\r\n\"'`*_.,;:!()[]{}"
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
_SAID = re.compile(
    r"(?:sorry, )?(?:but )?(?:idk|(?:i )?(?:really |honestly |simply )?(?:don'?t|do not|can'?t|cannot|can not) know"
    r"(?: (?:the |this |that )?(?:(?:right|correct|final|exact) )?answer)?(?: to (?:this|the|that|your) question)?)"
)
_LONGEST = 80  # characters: longer, and it says something else besides


def abstains(answer: str | None) -> bool:
    """Whether an answer says that it is not known, and nothing else.

    Only that it is not known: "unknown" or "not enough information" may be the right answer to a question, and a guess
    that follows ("I don't know, perhaps 7") is an answer. A missing answer (None) is no abstention.
    """
    if answer is None or len(answer) > _LONGEST:
        return False
    text = " ".join(answer.translate(_QUOTES).casefold().split()).strip(_EDGES)
    return _SAID.fullmatch(text) is not None


def ends_in_abstention(text: str) -> bool:
    """Whether the last line of a reply is an abstention; `text` is without thoughts."""
    lines = text.rstrip().splitlines()
    return bool(lines) and abstains(lines[-1])
