"""`trpa`: pairs of replies to one prompt that stand on different levels of preference (Su et al. 2025).

Levels: 1 well formed and right, 2 well formed and wrong, 3 well formed without a readable answer, 4 badly formed.
"""

from collections.abc import Iterator

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.groups import Attempt, by_policy, drop_kept
from maieutic.recipes.items import Pair
from maieutic.recipes.recipe import Tally, recipe
from maieutic.tasks.rewards.parts import Scored
from maieutic.tasks.rewards.preference import level


@recipe("trpa", needs="verified groups")
def trpa(runs: Candidates, tally: Tally, *, per_group: int = 8) -> Iterator[Pair]:
    """At most `per_group` pairs a prompt, the widest gaps first."""
    for group in by_policy(runs, tally, "trpa"):
        placed = [(place, attempt) for attempt in group.attempts if (place := _level(attempt)) is not None]
        pairs = [(a, b) for a in placed for b in placed if a[0] < b[0] and a[1].prompt == b[1].prompt]
        if not pairs:
            drop_kept(tally, "all on one level", len(group.attempts))
        for (above, chosen), (below, rejected) in sorted(pairs, key=lambda pair: pair[0][0] - pair[1][0])[:per_group]:
            yield Pair(
                chosen.prompt,
                chosen.reply,
                rejected.reply,
                "levels",
                (chosen.run.header.run_id, rejected.run.header.run_id),
                {"level_chosen": above, "level_rejected": below, **group.meta},
            )


def _level(attempt: Attempt) -> int | None:
    return level(Scored(attempt.text, 0, attempt.outcome))
