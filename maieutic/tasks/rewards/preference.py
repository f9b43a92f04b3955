"""Levels of preference, and what knights and knaves are worth by them (TRPA, Su et al. 2025)."""

from maieutic.tasks.rewards.parts import Scored, part
from maieutic.types import Outcome

FORM, ANSWER = (1.0, 1.0, 1.0, -1.0), (2.0, -1.5, -2.0, -2.0)


def level(scored: Scored) -> int | None:
    """1 well formed and right, 2 well formed and wrong, 3 well formed without a whole answer, 4 badly formed.

    `facts["well_formed"]` says whether the form was kept; without it, it was wherever an answer could be read or was
    only missing. None where nothing was checked.
    """
    if scored.outcome is None:
        return None
    if not scored.facts.get("well_formed", scored.outcome is not Outcome.FORMAT_ERROR):
        return 4
    if scored.right:
        return 1
    return 2 if scored.parsed else 3


@part("trpa")
def trpa(scored: Scored) -> float | None:
    """The reward of a level, form and answer together: 3, -0.5, -1, -3."""
    place = level(scored)
    return None if place is None else FORM[place - 1] + ANSWER[place - 1]
