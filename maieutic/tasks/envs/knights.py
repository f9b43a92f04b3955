"""`env:knights`: knights always tell the truth, knaves always lie, and what they say of each other decides who is
which.

After Xie et al. 2024, "On Memorization of Large Language Models in Logical Reasoning", arXiv 2410.23123. A puzzle is
kept only where a look at every assignment finds exactly one that fits. Deviations: names are drawn from a list of our
own, and counts ("exactly two of us") are among the claims.
"""

import re
from itertools import product
from random import Random
from typing import Any

from pydantic import Field

from maieutic.tasks.generated import Draft, Knobs, generated, instance_of
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verifier
from maieutic.types import Outcome, Verdict

NAMES: tuple[str, ...] = (
    "Ada",
    "Bruno",
    "Cleo",
    "Dario",
    "Edith",
    "Fabian",
    "Greta",
    "Hugo",
    "Iris",
    "Jonas",
    "Klara",
    "Leo",
)
_SAID = re.compile(r"([A-Za-z]+)\s*(?:is|:|=)?\s*(?:an?\s+)?(knight|knave)\b", re.IGNORECASE)

Claim = list[Any]
"""["knight", i], ["knave", i], ["and" | "or" | "if" | "iff", claim, claim], ["exactly" | "least", n]."""


class Knights(Knobs):
    people: int = Field(default=3, ge=2, le=12)
    """Inhabitants."""
    claims: int = Field(default=1, ge=1, le=3)
    """What is said: 1 about one other inhabitant, 2 also two claims joined, 3 also how many knights there are."""


LEVELS = (
    Knights(people=2, claims=2),
    Knights(people=3, claims=2),
    Knights(people=4, claims=2),
    Knights(people=5, claims=3),
    Knights(people=6, claims=3),
    Knights(people=8, claims=3),
)


@generated("knights", levels=LEVELS)
def knights(knobs: Knights, rng: Random) -> Draft | None:
    """Knights and knaves: who of a few people tells the truth, with exactly one way for it to be so."""
    names = rng.sample(NAMES, knobs.people)
    truth = [rng.random() < 0.5 for _ in names]
    claims: list[Claim] = []
    for speaker, honest in enumerate(truth):
        claim = next((c for c in _tries(knobs, rng, speaker) if holds(c, truth) == honest), None)
        if claim is None:
            return None
        claims.append(claim)
    if len(solutions(claims)) != 1:
        return None
    gold = ", ".join(
        f"{name} is a {'knight' if honest else 'knave'}" for name, honest in zip(names, truth, strict=True)
    )
    lines = [f'{name} says: "{_in_words(claim, names)}."' for name, claim in zip(names, claims, strict=True)]
    question = (
        "On an island every inhabitant is either a knight, who always tells the truth, or a knave, who always lies. "
        f"You meet {', '.join(names[:-1])} and {names[-1]}.\n\n" + "\n".join(lines) + "\n\n"
        '"Or" leaves both open; "if A, then B" is false only where A holds and B does not. What is each of them?\n'
        "End with: Answer: NAME is a knight, NAME is a knave, … (each of them once)."
    )
    instance = {"names": names, "claims": claims}
    return Draft(question, gold, "set", instance, difficulty=float(knobs.people), chance=0.5**knobs.people)


def holds(claim: Claim, truth: list[bool]) -> bool:
    """Whether a claim is true where `truth` says who is a knight."""
    match claim:
        case ["knight", who]:
            return truth[who]
        case ["knave", who]:
            return not truth[who]
        case ["and", a, b]:
            return holds(a, truth) and holds(b, truth)
        case ["or", a, b]:
            return holds(a, truth) or holds(b, truth)
        case ["if", a, b]:
            return not holds(a, truth) or holds(b, truth)
        case ["iff", a, b]:
            return holds(a, truth) == holds(b, truth)
        case ["exactly", number]:
            return sum(truth) == int(number)
        case ["least", number]:
            return sum(truth) >= int(number)
    raise ValueError(f"{claim} is no claim")


def solutions(claims: list[Claim]) -> list[list[bool]]:
    """Every assignment in which knights have said what is true, and knaves what is false."""
    rows = (list(row) for row in product((True, False), repeat=len(claims)))
    return [row for row in rows if _fits(claims, row)]


def _fits(claims: list[Claim], truth: list[bool]) -> bool:
    return all(holds(claim, truth) == honest for claim, honest in zip(claims, truth, strict=True))


@verifier("knights", answer_type="set")
def check(task: Task, answer: str) -> bool | Verdict:
    """Right where each is named once and all of it fits what was said."""
    instance = instance_of(task)
    names: list[str] = instance["names"]
    known = {name.casefold(): at for at, name in enumerate(names)}
    truth: dict[int, bool] = {}
    for name, kind in _SAID.findall(answer):
        who = known.get(name.casefold())
        if who is None or truth.setdefault(who, kind.casefold() == "knight") != (kind.casefold() == "knight"):
            return Verdict(Outcome.FORMAT_ERROR, None, reason=f"{name} is not there, or is said to be both")
    if len(truth) < len(names):
        missing = next(name for at, name in enumerate(names) if at not in truth)
        return Verdict(Outcome.UNPARSED, None, reason=f"nothing is said of {missing}")  # well formed, not whole
    return _fits(instance["claims"], [truth[at] for at in range(len(names))])


def _tries(knobs: Knights, rng: Random, speaker: int) -> list[Claim]:
    """Claims that a speaker may make, at random; one of them is as true as it has to be, in all likelihood."""
    return [_claim(knobs, rng, speaker) for _ in range(40)]


def _claim(knobs: Knights, rng: Random, speaker: int) -> Claim:
    form = rng.randint(1, knobs.claims)
    others = [at for at in range(knobs.people) if at != speaker]
    if form == 1 or (form == 2 and knobs.people < 3 and rng.random() < 0.3):
        return _plain(rng, rng.choice(others))
    if form == 2:
        pair = rng.sample(others, 2) if len(others) > 1 else [others[0], speaker]
        rng.shuffle(pair)
        return [rng.choice(("and", "or", "if", "iff")), _plain(rng, pair[0]), _plain(rng, pair[1])]
    return [rng.choice(("exactly", "least")), rng.randint(1, knobs.people - 1)]


def _plain(rng: Random, who: int) -> Claim:
    return [rng.choice(("knight", "knave")), who]


def _in_words(claim: Claim, names: list[str]) -> str:
    match claim:
        case [("knight" | "knave") as kind, who]:
            return f"{names[who]} is a {kind}"
        case ["if", a, b]:
            return f"If {_in_words(a, names)}, then {_in_words(b, names)}"
        case ["iff", a, b]:
            return f"{_in_words(a, names)} exactly if {_in_words(b, names)}"
        case [("and" | "or") as joined, a, b]:
            return f"{_in_words(a, names)} {joined} {_in_words(b, names)}"
        case [quantity, number]:
            bound = "Exactly" if quantity == "exactly" else "At least"
            return f"{bound} {number} of us {'is a knight' if number == 1 else 'are knights'}"
    raise ValueError(f"{claim} is no claim")
