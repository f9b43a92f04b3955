"""Wording: which words of a question are a template's, shared with others, and which are its own.

A template's questions differ in facts (numbers, operators, symbols, single letters, names, negations) and in words
that stand in its gaps. A run of words with its facts left open that more than `FEW` other questions have is a
template's; what no such run covers, and every fact, is the question's own.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from maieutic.gate.words import grams, names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Words = tuple[str, ...]

SPAN = 6  # words of a run with its facts left open
GAP = 4  # how many times more questions have the run beside one that a word of a gap is in
FEW = 2  # other questions that may have a run in common by chance, or be copies with a number changed

_NEGATIONS = frozenset(("no", "not", "never", "none", "neither", "nor", "without", "cannot", "t"))
_NO_NAMES = frozenset("aisdm")  # single letters that English writes as words, or after an apostrophe


def proper_names(questions: Iterable[str]) -> frozenset[str]:
    """Words that are written with a capital within sentences more often than without one."""
    capital: Counter[str] = Counter()
    small: Counter[str] = Counter()
    for question in questions:
        found, other = names(question)
        capital.update(found)
        small.update(other)
    return frozenset(word for word, number in capital.items() if number > small[word])


def slot_words(split: Sequence[Sequence[str]], proper: frozenset[str]) -> frozenset[str]:
    """Words that often stand where a template has others in their place: "knight" and "knave", between the same two
    words before and after."""
    places: Counter[int] = Counter()
    occurrences: Counter[str] = Counter()
    for word, _, filled in _in_context(split, proper):
        places[filled] += 1
        occurrences[word] += 1
    fillings: Counter[int] = Counter()
    counted: set[int] = set()
    for _, context, filled in _in_context(split, proper):
        if places[filled] > FEW and filled not in counted:
            counted.add(filled)
            fillings[context] += 1
    slots: Counter[str] = Counter()
    for word, context, filled in _in_context(split, proper):
        slots[word] += fillings[context] > 1 and places[filled] > FEW
    return frozenset(word for word, number in slots.items() if 4 * number > occurrences[word])


def _in_context(split: Sequence[Sequence[str]], proper: frozenset[str]) -> Iterator[tuple[str, int, int]]:
    """Each word that is no fact, its neighbours as one number, and both as one; once a question."""
    for tokens in split:
        open_ = ["", "", *("#" if is_fact(word, proper) else word for word in tokens), "", ""]
        met: set[int] = set()
        for i, word in enumerate(tokens):
            if open_[i + 2] != "#":
                context = hash((open_[i], open_[i + 1], open_[i + 3], open_[i + 4]))
                filled = hash((context, word))
                if filled not in met:
                    met.add(filled)
                    yield word, context, filled


def facts_in(tokens: Sequence[str], proper: frozenset[str]) -> tuple[list[int], Words]:
    """Where the facts stand, and what they are. Equals signs at the ends are none: they only say that one is asked."""
    places = [i for i, word in enumerate(tokens) if is_fact(word, proper)]
    while places and tokens[places[0]] == "=":
        places = places[1:]
    while places and tokens[places[-1]] == "=":
        places = places[:-1]
    return places, tuple(tokens[i] for i in places)


def is_fact(word: str, proper: frozenset[str]) -> bool:
    if len(word) == 1:
        return word not in _NO_NAMES
    return not word[0].isalpha() or word in proper or word in _NEGATIONS


def open_runs(tokens: Sequence[str], proper: frozenset[str]) -> "NDArray[np.uint64]":
    """The runs of words with the facts left open, one for each place where one begins."""
    return grams(["#" if is_fact(word, proper) else word for word in tokens], SPAN)


def covered(counts: Sequence[int], gap: float = math.inf) -> list[bool]:
    """For each word of a question whether a run covers it that a template has. `counts` are the questions that have
    each run, 0 for a run that too few have.

    A word in a gap stands at the edge of runs as well, which fewer questions have than the runs beside them: with
    `gap`, a run covers only where no run beside it is had by so many times more questions.
    """
    length = len(counts) + SPAN - 1 if counts else 0
    best = [max(counts[max(0, i - SPAN + 1) : i + 1]) for i in range(length)]
    return [0 < one and one * gap >= max(best[max(0, i - SPAN) : i + SPAN + 1]) for i, one in enumerate(best)]
