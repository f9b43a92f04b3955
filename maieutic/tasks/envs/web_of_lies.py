"""`env:web_of_lies`: people who say of each other that they lie, and a question about some of them.

After SynLogic (Liu et al. 2025, arXiv 2505.19641) and the tasks of BIG-Bench (Extra) Hard that it extends.
Deviations: a liar's sentence is exactly not the case (the released English text lets "at least one of them lies"
stand for the opposite of "at least one of them tells the truth", so that puzzles contradict their solutions), the
question says so, and every puzzle has one solution.
"""

from random import Random
from typing import Any

from pydantic import Field

from maieutic.tasks.generated import Draft, Knobs, generated
from maieutic.tasks.truth_table import column

NAMES: tuple[str, ...] = (
    "Amir", "Bela", "Chloe", "Dov", "Elena", "Farah", "Gus", "Hana", "Ivo", "Joan", "Kemal", "Lena", "Milo", "Nadia",
    "Otto", "Pia", "Quentin", "Rosa", "Sven", "Tara",
)  # fmt: skip
PLACES = ("library", "harbour", "bakery", "museum", "station", "market", "theatre", "garden")

Claim = list[Any]
"""["lies" | "honest", i], ["both" | "neither" | "some" | "one", i, j]: of the two, how many tell the truth."""


class WebOfLies(Knobs):
    people: int = Field(default=4, ge=3, le=14)
    """How many people there are."""
    asked: int = Field(default=2, ge=1, le=14)
    """About how many of them is asked."""
    pairs: float = Field(default=0.2, ge=0, le=1)
    """Share of what is said that is about two people."""
    places: float = Field(default=0.0, ge=0, le=1)
    """Share of sentences that say where somebody is, and nothing to the point."""


LEVELS = (
    WebOfLies(),
    WebOfLies(people=6, asked=3, pairs=0.3),
    WebOfLies(people=8, asked=4, pairs=0.4, places=0.3),
    WebOfLies(people=10, asked=5, pairs=0.5, places=0.5),
    WebOfLies(people=13, asked=6, pairs=0.6, places=0.5),
)


@generated("web_of_lies", levels=LEVELS)
def web_of_lies(knobs: WebOfLies, rng: Random) -> Draft | None:
    """Web of lies: who of several people tells the truth, by what they say of each other."""
    if knobs.asked > knobs.people:
        return None
    names = rng.sample(NAMES, knobs.people)
    truth = [rng.random() < 0.5 for _ in names]
    claims: list[Claim] = []
    for speaker in range(knobs.people):
        tries = (_claim(knobs, rng, speaker) for _ in range(60))
        claim = next((one for one in tries if _value(one, truth) == truth[speaker]), None)
        if claim is None:
            return None
        claims.append(claim)
    if models(claims).bit_count() != 1:
        return None
    lines = [f"{name} says that {_in_words(claim, names)}." for name, claim in zip(names, claims, strict=True)]
    lines += [f"{name} is at the {rng.choice(PLACES)}." for name in names if rng.random() < knobs.places]
    rng.shuffle(lines)
    asked = rng.sample(range(knobs.people), knobs.asked)
    question = (
        "Each of these people either always tells the truth or always lies; what a liar says is not the case.\n\n"
        + "\n".join(lines)
        + f"\n\nDo these tell the truth: {', '.join(names[at] for at in asked)}? Say yes or no for each, in order.\n"
        "End with: Answer: a list such as yes, no, …"
    )
    gold = ", ".join("yes" if truth[at] else "no" for at in asked)
    return Draft(question, gold, "list", difficulty=float(knobs.people), chance=0.5**knobs.asked, verifier="list")


def models(claims: list[Claim]) -> int:
    """The assignments in which the honest say what is the case and liars don't, a bit for each of the 2^n."""
    rows = 1 << len(claims)
    everything = (1 << rows) - 1
    honest = [column(at, rows) for at in range(len(claims))]
    left = everything
    for speaker, claim in enumerate(claims):
        left &= everything ^ honest[speaker] ^ _column(claim, honest, everything)
    return left


def _column(claim: Claim, honest: list[int], everything: int) -> int:
    match claim:
        case ["honest", who]:
            return honest[who]
        case ["lies", who]:
            return everything ^ honest[who]
        case ["both", a, b]:
            return honest[a] & honest[b]
        case ["neither", a, b]:
            return everything ^ (honest[a] | honest[b])
        case ["some", a, b]:
            return honest[a] | honest[b]
        case ["one", a, b]:
            return honest[a] ^ honest[b]
    raise ValueError(f"{claim} is no claim")


def _value(claim: Claim, truth: list[bool]) -> bool:
    return bool(_column(claim, [int(honest) for honest in truth], 1))


def _claim(knobs: WebOfLies, rng: Random, speaker: int) -> Claim:
    others = [at for at in range(knobs.people) if at != speaker]
    if rng.random() < knobs.pairs:
        return [rng.choice(("both", "neither", "some", "one")), *rng.sample(others, 2)]
    return [rng.choice(("honest", "lies")), rng.choice(others)]


def _in_words(claim: Claim, names: list[str]) -> str:
    match claim:
        case [kind, who]:
            return f"{names[who]} {'tells the truth' if kind == 'honest' else 'lies'}"
        case ["both", a, b]:
            return f"{names[a]} and {names[b]} both tell the truth"
        case ["neither", a, b]:
            return f"{names[a]} and {names[b]} both lie"
        case ["some", a, b]:
            return f"at least one of {names[a]} and {names[b]} tells the truth"
        case [_, a, b]:
            return f"exactly one of {names[a]} and {names[b]} tells the truth"
    raise ValueError(f"{claim} is no claim")
