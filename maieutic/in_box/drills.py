"""Drills: many short decisions on numbers in one dialogue, before a role takes one of them at the end of its work."""

import random

from maieutic.in_box.dialogue import Dialogue, Piece, dialogue, pieced
from maieutic.in_box.drafts import digit_by_digit

_SIGNS = ("", "", "", "-")


def compare(rng: random.Random) -> Dialogue:
    """Pairs of numbers, digit by digit, and whether they are the same, which half of them are; those that differ mostly
    do so by a digit, or the sign. The numbers are given; learnt is what follows."""
    pieces = []
    for _ in range(rng.randint(4, 10)):
        first = _number(rng)
        second = first if rng.random() < 0.5 else _another(first, rng)
        label = rng.choice(("Said", "Said", "Other", "Candidate 1", "Candidate 2"))
        pieces.append(Piece(f"{label}: {first}, {second}, ", False))
        pieces += [Piece(digit_by_digit(first, second), True), Piece("\n", False)]
    return dialogue("compare", "Compare.", pieced(*pieces[:-1]))


def recall(rng: random.Random) -> Dialogue:
    """The end of a review or of a judgement, after work that has nothing to do with it: what was said at first is said
    again beside the own answer. The work is given; learnt is what follows."""
    own = _number(rng)
    if rng.random() < 0.5:
        quotes, choice = [f"Said: {own if rng.random() < 0.5 else _another(own, rng)}"], None
    else:
        answers = [_another(own, rng) for _ in range(rng.choice((1, 1, 2)))]
        choice = rng.randrange(len(answers) + 1)
        answers.insert(choice, own)
        quotes = [f"Candidate {number}: {answer}" for number, answer in enumerate(answers, 1)]
    given = [*quotes, *(_line(rng) for _ in range(rng.randint(0, 3))), f"Answer: {own}"]
    says = [f"{quote}, {own}, {digit_by_digit(quote.split(': ')[1], own)}" for quote in quotes]
    if choice is not None:
        says.append(f"Choice: {choice + 1}")
    return dialogue("recall", "Compare.", pieced(Piece("\n".join(given) + "\n", False), Piece("\n".join(says), True)))


def _another(number: str, rng: random.Random) -> str:
    """A number near to this one, or now and then any other."""
    while (other := _number(rng) if rng.random() < 0.2 else _other(number, rng)) == number:
        pass
    return other


def _line(rng: random.Random) -> str:
    left, right = rng.randint(1, 99), rng.randint(1, 9)
    return f"{left} + {right} = {left + right}"


def _number(rng: random.Random) -> str:
    return f"{rng.choice(_SIGNS)}{rng.randint(1, rng.choice((9, 99, 99, 999, 9999)))}"


def _other(number: str, rng: random.Random) -> str:
    """A number that is near: its sign, a digit, or it by one or ten another."""
    value = int(number)
    digits = str(abs(value))
    place = rng.randrange(len(digits))
    changed = int(f"{digits[:place]}{rng.choice([d for d in '123456789' if d != digits[place]])}{digits[place + 1 :]}")
    near = [value + step for step in (-10, -1, 1, 10)]
    return str(rng.choice([*near, changed if value >= 0 else -changed, -value or 1]))
