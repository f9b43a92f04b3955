"""Equal tokens: what a vote over plain samples would have made of the tokens that a graph has spent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from maieutic.evals.items import Attempt, grouped
from maieutic.stats import PairedComparison, compare_paired
from maieutic.tasks.answers import canonical
from maieutic.tasks.task import AnswerType
from maieutic.types import Outcome


@dataclass(frozen=True, slots=True)
class Beside:
    """A graph beside self-consistency (Wang et al. 2023, arXiv 2203.11171) at equal tokens.

    `samples` is how many plain samples a question the graph's tokens would have bought on average, `tokens` what these
    cost; `capped` says that fewer were at hand. `comparison` has the vote first and the graph second.
    """

    samples: int
    tokens: float
    capped: bool
    comparison: PairedComparison


def beside(graph: Sequence[Attempt], bank: Sequence[Attempt], types: Mapping[str, AnswerType]) -> Beside | None:
    """Compare a graph's first attempts with votes over plain samples of the same questions; None without any."""
    samples = {task: group for task, group in grouped(bank).items() if task in types}
    own = [group[0] for task, group in grouped(graph).items() if task in samples]
    if not own:
        return None
    price = mean(attempt.tokens for group in samples.values() for attempt in group)
    wanted = max(1, round(mean(attempt.tokens for attempt in own) / max(price, 1)))
    at_hand = min(len(group) for group in samples.values())
    taken = min(wanted, at_hand)
    votes = [vote(samples[attempt.task][:taken], types[attempt.task]) for attempt in own]
    spent = mean(sum(a.tokens for a in samples[attempt.task][:taken]) for attempt in own)
    return Beside(taken, spent, wanted > at_hand, compare_paired(votes, [attempt.right for attempt in own]))


def vote(attempts: Sequence[Attempt], answer_type: AnswerType) -> bool:
    """Whether the answer that most attempts agree on is right; of equal groups, the one that got there first."""
    groups: dict[object, list[int]] = {}
    for place, attempt in enumerate(attempts):
        silent = attempt.answer is None or attempt.outcome is Outcome.ABSTAINED
        key = None if silent else canonical(attempt.answer or "", answer_type)
        if key is not None:
            groups.setdefault(key, []).append(place)
    if not groups:
        return False
    leading = min(groups.values(), key=lambda places: (-len(places), places[-1]))
    return attempts[leading[0]].right
