"""`edge_of_ability`: prompts that the policy sometimes solves and sometimes doesn't, for reinforcement learning.

What it always or never solves gives no signal within a group (Phi-4-reasoning's curation; DAPO, arXiv 2503.14476).
"""

from collections.abc import Iterable, Iterator

from maieutic.recipes.groups import attempts, by_policy, drop_kept
from maieutic.recipes.items import Prompt
from maieutic.recipes.recipe import Candidate, Tally, recipe


@recipe("edge_of_ability", needs="verified groups")
def edge_of_ability(
    runs: Iterable[Candidate], tally: Tally, *, above: float = 0.0, below: float = 1.0, least: int = 2
) -> Iterator[Prompt]:
    """Prompts whose share of right attempts lies strictly between `above` and `below`, `least` attempts or more
    each."""
    for group in by_policy(attempts(runs, tally, "edge_of_ability")).values():
        share = sum(attempt.right for attempt in group) / len(group)
        if len(group) < least:
            drop_kept(tally, f"fewer than {least} attempts", len(group))
        elif not above < share < below:
            drop_kept(tally, "always solved" if share >= below else "never solved", len(group))
        else:
            first = group[0]
            ids = tuple(attempt.run.header.run_id for attempt in group)
            yield Prompt(first.prompt, dict(first.run.header.task), ids, {"solved": share, "attempts": len(group)})
