"""Rewards for finding: the rank of the right passage, and what was looked at on the way."""

from collections.abc import Sequence
from math import log2

from maieutic.tasks.rewards.parts import Scored, part


@part("rank")
def rank(scored: Scored, *, bad_format: float = -0.1) -> float | None:
    """ConvSearch-R1's reward by the rank of the gold passage among 100: 2 to 1 within the first ten, then down to 0.

    `facts["rank"]` counts from 1, 0 or more than 100 where it was not found; `facts["well_formed"]` false gives
    `bad_format` instead, whatever the rank.
    """
    if not scored.facts.get("well_formed", True):
        return bad_format
    place = scored.facts.get("rank")
    if place is None:
        return None
    if 1 <= place <= 10:
        return float(19 - place) / 9
    return 10 / 9 - float(place) / 90 if 11 <= place <= 100 else 0.0


@part("vrag")
def vrag(scored: Scored, *, judge: float = 0.7, form: float = 0.1, pages: float = 0.2) -> float | None:
    """VRAG-RL's: a judge's word, the form and the NDCG of the pages that were retrieved; 0 without a search and an
    answer.

    `facts`: `judged` (0 or 1), `searches`, `answered`, `retrieved` and `relevant` (pages).
    """
    facts = scored.facts
    if "judged" not in facts:
        return None
    if not facts.get("searches") or not facts.get("answered"):
        return 0.0
    found = ndcg(facts.get("retrieved", ()), facts.get("relevant", ()))
    return judge * float(facts["judged"]) + form * 1.0 + pages * found


def ndcg(ranked: Sequence[object], relevant: Sequence[object]) -> float:
    """Normalised discounted cumulative gain with gains of 0 and 1; 0 where nothing is relevant."""
    wanted = set(relevant)
    gain = sum(1 / log2(place + 1) for place, page in enumerate(dict.fromkeys(ranked), 1) if page in wanted)
    ideal = sum(1 / log2(place + 1) for place in range(1, len(wanted) + 1))
    return gain / ideal if ideal else 0.0
