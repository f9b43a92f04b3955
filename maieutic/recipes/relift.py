"""`relift`: the hardest prompts, which no attempt of their group has solved: they need a demonstration.

ReLIFT (Ma et al. 2025, arXiv 2506.07527): a group is hardest where all of its replies are well formed and wrong. One
with a badly formed or unreadable reply may only lack the form, and is left out.
"""

from collections.abc import Iterable, Iterator
from heapq import nlargest

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.groups import Group, by_policy, drop_kept
from maieutic.recipes.items import Prompt
from maieutic.recipes.recipe import Tally, recipe
from maieutic.types import Outcome


@recipe("relift", needs="verified groups")
def relift(runs: Candidates, tally: Tally, *, least: int = 8, newest: int | None = None) -> Iterator[Prompt]:
    """`least` attempts a group; `newest` keeps only so many prompts, those begun last (ReLIFT: the newest 128), and
    gives them newest first."""
    hardest = _hardest(by_policy(runs, tally, "relift"), tally, least)
    if newest is None:
        yield from (prompt for _, prompt in hardest)
        return
    last = [prompt for _, prompt in nlargest(newest, hardest, key=lambda entry: entry[0])]
    drop_kept(tally, "older", tally.kept - sum(len(prompt.runs) for prompt in last))
    yield from last


def _hardest(groups: Iterable[Group], tally: Tally, least: int) -> Iterator[tuple[float, Prompt]]:
    """Prompts, each with when its group was begun."""
    for group in groups:
        number, first = len(group.attempts), group.attempts[0]
        if number < least:
            drop_kept(tally, f"fewer than {least} attempts", number)
        elif is_hardest([attempt.outcome for attempt in group.attempts]):
            meta = {"attempts": number, **group.meta}
            prompt = Prompt(first.prompt, dict(first.run.header.task), group.run_ids, meta)
            yield first.run.header.started, prompt
        else:
            drop_kept(tally, "not hardest", number)


def is_hardest(outcomes: list[Outcome]) -> bool:
    """Whether every reply was readable and wrong."""
    return bool(outcomes) and all(outcome is Outcome.WRONG for outcome in outcomes)
