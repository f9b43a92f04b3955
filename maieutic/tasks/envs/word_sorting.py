"""`env:word_sorting`: words in alphabetical order, or the step at which somebody sorting them went wrong.

After SynLogic (Liu et al. 2025, arXiv 2505.19641). Words share beginnings, so that the first letter decides little.
Deviations: words are made up, so that none is known in its place; a mistake is an insertion at a wrong place, after
which the sorting goes on from what it has.
"""

from math import factorial
from random import Random
from typing import Literal

from pydantic import Field

from maieutic.tasks.generated import Draft, Knobs, generated

CONSONANTS, VOWELS = "bdfgklmnprstv", "aeiou"


class WordSorting(Knobs):
    kind: Literal["sort", "mistake"] = "sort"
    """Sort words, or find the mistake in somebody's sorting."""
    words: int = Field(default=5, ge=3, le=40)
    """How many words."""
    shared: int = Field(default=2, ge=0, le=6)
    """Letters at their beginning that groups of words share."""


LEVELS = (
    WordSorting(words=4),
    WordSorting(words=8),
    WordSorting(words=14, shared=3),
    WordSorting(words=20, shared=4),
    WordSorting(words=30, shared=4),
)


@generated("word_sorting", levels=LEVELS, kinds=("sort", "mistake"))
def word_sorting(knobs: WordSorting, rng: Random) -> Draft | None:
    """Sort words alphabetically, or find the first wrong step of an insertion sort."""
    words = _words(knobs, rng)
    if len(set(words)) < knobs.words or words == sorted(words):
        return None
    return _sort(words) if knobs.kind == "sort" else _mistake(words, rng)


def _words(knobs: WordSorting, rng: Random) -> list[str]:
    beginnings = [_syllables(rng, 4)[: knobs.shared] for _ in range(1 + knobs.words // 4)]
    return [rng.choice(beginnings) + _syllables(rng, rng.randint(1, 3)) for _ in range(knobs.words)]


def _syllables(rng: Random, number: int) -> str:
    return "".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(number))


def _sort(words: list[str]) -> Draft:
    question = (
        f"Sort these words alphabetically: {', '.join(words)}\n\nEnd with: Answer: the words, separated by commas"
    )
    return Draft(
        question,
        ", ".join(sorted(words)),
        "list",
        difficulty=float(len(words)),
        chance=1 / factorial(len(words)),
        verifier="list",
    )


def _mistake(words: list[str], rng: Random) -> Draft | None:
    wrong = rng.randint(2, len(words)) if rng.random() < 0.8 else 0
    done: list[str] = []
    lines = []
    for step, word in enumerate(words, 1):
        place = next((at for at, other in enumerate(done) if other > word), len(done))
        if step == wrong:
            place = rng.choice([at for at in range(len(done) + 1) if at != place])
        done.insert(place, word)
        lines.append(f"{step}. insert {word}: {', '.join(done)}")
    question = (
        "Somebody sorts words alphabetically: each one is put before the first of those placed so far that comes after "
        "it in the alphabet, or at the end.\n\n" + "\n".join(lines) + "\n\nAt which step was a word put at a wrong "
        "place? 0 where at none.\nEnd with: Answer: NUMBER"
    )
    return Draft(
        question,
        str(wrong),
        "number",
        difficulty=float(len(words)),
        chance=1 / (len(words) + 1),
        verifier="number",
    )
