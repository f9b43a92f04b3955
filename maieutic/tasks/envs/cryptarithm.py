"""`env:cryptarithm`: letters that stand for digits, in a sum or difference that has to come out.

After SynLogic (Liu et al. 2025, arXiv 2505.19641). Deviation: an equation is right where it fits the letters and
comes out, not only where it is written as the gold one is.
"""

import re
from collections.abc import Sequence
from random import Random
from string import ascii_uppercase

from pydantic import Field

from maieutic.tasks.generated import Draft, Knobs, generated, instance_of
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verifier
from maieutic.types import Outcome, Verdict

_WORDS = re.compile(r"[A-Z]+|[0-9]+")


class Cryptarithm(Knobs):
    letters: int = Field(default=3, ge=2, le=7)
    """Different letters."""
    terms: int = Field(default=2, ge=2, le=4)
    """Numbers on the left side."""
    digits: int = Field(default=2, ge=1, le=6)
    """Digits of each of them."""


LEVELS = (
    Cryptarithm(),
    Cryptarithm(letters=4, terms=3, digits=3),
    Cryptarithm(letters=5, digits=4),
    Cryptarithm(letters=6, terms=3, digits=4),
    Cryptarithm(letters=7, terms=3, digits=5),
)


@generated("cryptarithm", levels=LEVELS)
def cryptarithm(knobs: Cryptarithm, rng: Random) -> Draft | None:
    """Cryptarithm: find the digits behind the letters of a sum or difference, which are unique."""
    pool = rng.sample("0123456789", knobs.letters)
    numbers = ["".join(rng.choice(pool) for _ in range(knobs.digits)) for _ in range(knobs.terms)]
    signs = [rng.choice("+-") for _ in range(knobs.terms - 1)]
    result = _worth(numbers, signs)
    words = [*numbers, str(result)]
    used = sorted(set("".join(words)))
    if result < 0 or len(used) != knobs.letters or any(len(word) > 1 and word[0] == "0" for word in words):
        return None
    names = dict(zip(used, rng.sample(ascii_uppercase, len(used)), strict=True))
    letters = ["".join(names[digit] for digit in word) for word in words]
    if len(solutions(letters, signs)) != 1:
        return None
    question = (
        "Each letter stands for another digit, and no number of more than one digit begins with 0. Find the digits:"
        f"\n\n{_equation(letters, signs)}\n\nEnd with the equation in digits: Answer: EQUATION"
    )
    instance = {"words": letters, "signs": signs}
    return Draft(question, _equation(words, signs), "text", instance, difficulty=float(knobs.letters))


@verifier("cryptarithm", answer_type="text")
def check(task: Task, answer: str) -> bool | Verdict:
    """The same shape, each letter another digit and always the same one, and both sides equal."""
    instance = instance_of(task)
    words: list[str] = instance["words"]
    said = re.sub(r"\s", "", answer.replace("−", "-"))
    if not re.fullmatch(r"\d+([+-]\d+)*=\d+", said):
        return Verdict(Outcome.FORMAT_ERROR, None, reason="not an equation in digits")
    numbers = _WORDS.findall(said)
    if re.findall(r"[+-]", said) != instance["signs"] or [len(n) for n in numbers] != [len(w) for w in words]:
        return Verdict(Outcome.WRONG, 0.0, reason="not the same equation")
    pairs = set(zip("".join(words), "".join(numbers), strict=True))
    if len(pairs) != len({letter for letter, _ in pairs}) or len(pairs) != len({digit for _, digit in pairs}):
        return Verdict(Outcome.WRONG, 0.0, reason="a letter stands for two digits, or a digit for two letters")
    if any(len(number) > 1 and number[0] == "0" for number in numbers):
        return Verdict(Outcome.WRONG, 0.0, reason="a number begins with 0")
    return _worth(numbers[:-1], instance["signs"]) == int(numbers[-1])


def solutions(words: Sequence[str], signs: Sequence[str], most: int = 2) -> list[dict[str, int]]:
    """The first ways to put digits for letters so that the equation holds."""
    weights: dict[str, int] = {}
    for word, sign in zip(words, ("+", *signs, "="), strict=True):
        for power, letter in enumerate(reversed(word)):
            weights[letter] = weights.get(letter, 0) + (10**power if sign == "+" else -(10**power))
    leading = {word[0] for word in words if len(word) > 1}
    letters = sorted(weights, key=lambda letter: -abs(weights[letter]))
    found: list[dict[str, int]] = []

    def place(at: int, total: int, chosen: dict[str, int]) -> None:
        if len(found) >= most:
            return
        if at == len(letters):
            if total == 0:
                found.append(dict(chosen))
            return
        reach = 9 * sum(abs(weights[letter]) for letter in letters[at:])
        if abs(total) > reach:
            return
        letter = letters[at]
        for digit in range(1 if letter in leading else 0, 10):
            if digit not in chosen.values():
                chosen[letter] = digit
                place(at + 1, total + digit * weights[letter], chosen)
                del chosen[letter]

    place(0, 0, {})
    return found


def _worth(numbers: Sequence[str], signs: Sequence[str]) -> int:
    pairs = zip(("+", *signs), numbers, strict=True)
    return sum(int(number) if sign == "+" else -int(number) for sign, number in pairs)


def _equation(words: Sequence[str], signs: Sequence[str]) -> str:
    left = "".join(f" {sign} {word}" for sign, word in zip(("+", *signs), words[:-1], strict=True))
    return f"{left.removeprefix(' + ')} = {words[-1]}"
