"""`env:saturn`: satisfiability, with formulas of a known difficulty.

After SATURN (Liu et al. 2025, arXiv 2505.16368): n literals a clause, k variables, l clauses, and the difficulty
D = log2 k + 2 log2 l - n + k / n. Deviations, where the released code is at fault: an answer has to be exactly k bits
(there missing ones counted as 0, so that an empty box was the all-zero assignment); clauses are drawn from all that the
planted assignment satisfies, not from a pool that is cut off; and `unsatisfiable` puts formulas without a model among
them, which every released one has. Each item carries its chance: the share of assignments that satisfy it.
"""

import re
from math import comb, log2
from random import Random
from string import ascii_uppercase

from pydantic import Field

from maieutic.tasks.generated import Draft, Knobs, generated, instance_of
from maieutic.tasks.task import Task
from maieutic.tasks.truth_table import column
from maieutic.tasks.verifier import verifier
from maieutic.types import Outcome, Verdict

UNSATISFIABLE = "unsatisfiable"
CANDIDATES = 40
_NO_MODEL = re.compile(r"(?:the formula )?(?:is |it is )?(?:unsat|unsatisfiable|not satisfiable)", re.IGNORECASE)

Clause = tuple[tuple[int, bool], ...]
"""Variables by number, each with whether it stands there plain (true) or negated."""


class Saturn(Knobs):
    literals: int = Field(default=3, ge=2, le=8)
    """Literals in a clause (n)."""
    variables: int = Field(default=5, ge=2, le=14)
    """Variables (k)."""
    clauses: int = Field(default=5, ge=1, le=200)
    """Clauses (l)."""
    unsatisfiable: float = Field(default=0.0, ge=0, le=0.9)
    """Share of formulas that nothing satisfies; takes at least 2^n clauses."""


LEVELS = (
    Saturn(literals=3, variables=5, clauses=5),
    Saturn(literals=3, variables=5, clauses=6),
    Saturn(literals=3, variables=5, clauses=13, unsatisfiable=0.1),
    Saturn(literals=3, variables=5, clauses=15, unsatisfiable=0.2),
    Saturn(literals=3, variables=5, clauses=20, unsatisfiable=0.25),
    Saturn(literals=3, variables=7, clauses=40, unsatisfiable=0.25),
)


@generated("saturn", levels=LEVELS)
def saturn(knobs: Saturn, rng: Random) -> Draft | None:
    """Find an assignment that satisfies a formula, or say that there is none (SATURN)."""
    n, k, length = knobs.literals, knobs.variables, knobs.clauses
    if n > k or comb(k, n) * (2**n - 1) < length:
        return None  # there are not that many different clauses
    planted = [rng.random() < 0.5 for _ in range(k)]
    without = rng.random() < knobs.unsatisfiable
    clauses = _unsatisfied(knobs, rng) if without else _satisfied(knobs, rng, planted)
    if clauses is None:
        return None
    chance = models(clauses, k).bit_count() / 2**k
    question = (
        "Variables are letters, !A is the negation of A, letters side by side are joined by OR, and all clauses have "
        f"to hold (&):\n\n{_in_letters(clauses)}\n\nGive an assignment of {ascii_uppercase[:k]} that satisfies this, "
        f"as {k} digits in this order, 1 for true and 0 for false" + (_OFFER if knobs.unsatisfiable else ".") + "\n"
        "End with: Answer: DIGITS"
    )
    return Draft(
        question,
        UNSATISFIABLE if without else "".join("01"[value] for value in planted),
        "text",
        {"variables": k, "clauses": [[[v, plain] for v, plain in clause] for clause in clauses]},
        difficulty=difficulty(n, k, length),
        chance=chance,
    )


_OFFER = f'. If no assignment does, answer "{UNSATISFIABLE}".'


def difficulty(literals: int, variables: int, clauses: int) -> float:
    """SATURN's D(n, k, l)."""
    return log2(variables) + 2 * log2(clauses) - literals + variables / literals


def models(clauses: list[Clause], variables: int) -> int:
    """The assignments that satisfy all clauses, a bit for each of the 2^k."""
    rows = 1 << variables
    everything = (1 << rows) - 1
    columns = [column(at, rows) for at in range(variables)]
    left = everything
    for clause in clauses:
        either = 0
        for variable, plain in clause:
            either |= columns[variable] if plain else everything ^ columns[variable]
        left &= either
    return left


@verifier("saturn", answer_type="text")
def check(task: Task, answer: str) -> bool | Verdict:
    """Any assignment that satisfies all clauses is right; "unsatisfiable" is where there is none."""
    instance = instance_of(task)
    if _NO_MODEL.fullmatch(answer.strip().strip(".'\"")):
        return task.gold == UNSATISFIABLE
    bits = re.sub(r"[\s,]", "", answer)
    if len(bits) != instance["variables"] or set(bits) - {"0", "1"}:
        return Verdict(Outcome.FORMAT_ERROR, None, reason=f"not {instance['variables']} digits 0 or 1")
    return all(any((bits[variable] == "1") == plain for variable, plain in clause) for clause in instance["clauses"])


def _clause(knobs: Saturn, rng: Random) -> Clause:
    chosen = sorted(rng.sample(range(knobs.variables), knobs.literals))
    return tuple((variable, rng.random() < 0.5) for variable in chosen)


def _satisfied(knobs: Saturn, rng: Random, planted: list[bool]) -> list[Clause] | None:
    found: set[Clause] = set()
    for _ in range(200 * knobs.clauses):
        clause = _clause(knobs, rng)
        if any(planted[variable] == plain for variable, plain in clause):
            found.add(clause)
        if len(found) == knobs.clauses:
            return sorted(found)
    return None


def _unsatisfied(knobs: Saturn, rng: Random) -> list[Clause] | None:
    """Clauses that leave no model: of a few at random the one that excludes most, until nothing is left."""
    found: list[Clause] = []
    left = (1 << (1 << knobs.variables)) - 1
    while len(found) < knobs.clauses:
        fresh = [clause for clause in (_clause(knobs, rng) for _ in range(CANDIDATES)) if clause not in found]
        if not fresh:
            return None
        kept = {clause: left & models([clause], knobs.variables) for clause in fresh[: CANDIDATES if left else 1]}
        best = min(kept, key=lambda clause: kept[clause].bit_count())
        found.append(best)
        left = kept[best]
    return None if left else sorted(found)


def _in_letters(clauses: list[Clause]) -> str:
    texts = ("".join(("" if plain else "!") + ascii_uppercase[variable] for variable, plain in c) for c in clauses)
    return " & ".join(texts)
