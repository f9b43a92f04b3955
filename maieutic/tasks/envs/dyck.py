"""`env:dyck`: brackets that have to be closed, or a sequence of them in which the first mistake is to be found.

After SynLogic (Liu et al. 2025, arXiv 2505.19641), its tasks of completing a sequence and of finding an error.
Deviation: curly braces are not among the brackets, since they are what a \\boxed answer ends with.
"""

import re
from random import Random
from typing import Literal

from pydantic import Field

from maieutic.tasks.generated import Draft, Knobs, generated, instance_of
from maieutic.tasks.numbers import parse_number
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verifier
from maieutic.types import Outcome, Verdict

PAIRS = {"(": ")", "[": "]", "<": ">", "«": "»"}


class Dyck(Knobs):
    kind: Literal["complete", "error"] = "complete"
    """Complete a sequence, or find the first mistake in one."""
    brackets: int = Field(default=2, ge=1, le=4)
    """Different pairs of brackets."""
    length: int = Field(default=10, ge=4, le=100)
    """Brackets in the sequence."""
    missing: int = Field(default=2, ge=1, le=30)
    """Brackets to be added, where it is to be completed."""


LEVELS = (
    Dyck(),
    Dyck(brackets=3, length=16, missing=4),
    Dyck(brackets=4, length=24, missing=6),
    Dyck(brackets=4, length=40, missing=10),
)


@generated("dyck", levels=LEVELS, kinds=("complete", "error"))
def dyck(knobs: Dyck, rng: Random) -> Draft | None:
    """Dyck words: close all brackets of a sequence, or find the first one that can't be right."""
    return _complete(knobs, rng) if knobs.kind == "complete" else _error(knobs, rng)


@verifier("dyck", answer_type="text")
def check(task: Task, answer: str) -> bool | Verdict:
    """The brackets, whatever white space is between them; or the number of the place."""
    if instance_of(task)["kind"] == "error":
        number = parse_number(answer)
        if number is None:
            return Verdict(Outcome.FORMAT_ERROR, None, reason="not a number")
        return number.value == int(str(task.gold))
    said = re.sub(r"[\s,`'\"]", "", answer)
    if set(said) - set("".join(PAIRS) + "".join(PAIRS.values())):
        return Verdict(Outcome.FORMAT_ERROR, None, reason="not brackets alone")
    return said == re.sub(r"\s", "", str(task.gold))


def first_mistake(sequence: str) -> int:
    """The place (from 1) of the first bracket that closes what isn't open; 0 where there is none."""
    opened: list[str] = []
    for place, bracket in enumerate(sequence, 1):
        if bracket in PAIRS:
            opened.append(bracket)
        elif not opened or PAIRS[opened.pop()] != bracket:
            return place
    return 0


def _complete(knobs: Dyck, rng: Random) -> Draft | None:
    kinds, opened = rng.sample(list(PAIRS), knobs.brackets), list[str]()
    sequence = ""
    for left in range(knobs.length, 0, -1):
        if not opened or (len(opened) + 1 <= knobs.missing + left - 1 and rng.random() < 0.55):
            opened.append(rng.choice(kinds))
            sequence += opened[-1]
        else:
            sequence += PAIRS[opened.pop()]
    if len(opened) != knobs.missing:
        return None
    gold = " ".join(PAIRS[bracket] for bracket in reversed(opened))
    question = (
        f"Complete this sequence so that all brackets are closed in the right order:\n\n{' '.join(sequence)}\n\n"
        "End with the brackets to be added, and nothing else: Answer: BRACKETS"
    )
    chance = knobs.brackets**-knobs.missing
    return Draft(question, gold, "text", {"kind": "complete"}, difficulty=float(knobs.length), chance=chance)


def _error(knobs: Dyck, rng: Random) -> Draft | None:
    kinds, opened = rng.sample(list(PAIRS), knobs.brackets), list[str]()
    length = knobs.length // 2 * 2
    sequence = ""
    for left in range(length, 0, -1):
        if not opened or (len(opened) < left and rng.random() < 0.5):
            opened.append(rng.choice(kinds))
            sequence += opened[-1]
        else:
            sequence += PAIRS[opened.pop()]
    if rng.random() < 0.8:
        place = rng.randrange(1, length)
        sequence = sequence[:place] + PAIRS[rng.choice(kinds)] + sequence[place + 1 :]
    gold = first_mistake(sequence)
    if not gold and _open_at_end(sequence):
        return None
    question = (
        f"Which is the first bracket here that closes what is not the last open one?\n\n{' '.join(sequence)}"
        "\n\nCount from 1; 0 where every bracket is right.\nEnd with: Answer: NUMBER"
    )
    return Draft(question, str(gold), "number", {"kind": "error"}, difficulty=float(length), chance=1 / (length + 1))


def _open_at_end(sequence: str) -> bool:
    """Whether something is left open."""
    return sum(1 if bracket in PAIRS else -1 for bracket in sequence) != 0
