"""`edge_of_ability`: prompts that the policy sometimes solves and sometimes doesn't, for reinforcement learning.

What it always or never solves gives no signal within a group (Phi-4-reasoning's curation; DAPO, arXiv 2503.14476).
"""

from collections.abc import Iterator

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.groups import ENDED_EARLY, by_policy, drop_kept
from maieutic.recipes.items import Prompt
from maieutic.recipes.recipe import Tally, recipe


@recipe("edge_of_ability", needs="verified groups")
def edge_of_ability(
    runs: Candidates, tally: Tally, *, above: float = 0.0, below: float = 1.0, least: int = 2
) -> Iterator[Prompt]:
    """Prompts whose share of right attempts lies strictly between `above` and `below`, `least` attempts or more each.
    A group that ended early tells no fair share: it is left out."""
    for group in by_policy(runs, tally, "edge_of_ability"):
        number = len(group.attempts)
        share = len(group.right) / number
        if group.ended_early:
            drop_kept(tally, ENDED_EARLY, number)
        elif number < least:
            drop_kept(tally, f"fewer than {least} attempts", number)
        elif not above < share < below:
            drop_kept(tally, "always solved" if share >= below else "never solved", number)
        else:
            first = group.attempts[0]
            meta = {"solved": share, "attempts": number, **group.meta}
            yield Prompt(first.prompt, dict(first.run.header.task), group.run_ids, meta)
