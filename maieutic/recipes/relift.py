"""`relift`: the hardest prompts, which no attempt of their group has solved: they need a demonstration.

ReLIFT (Ma et al. 2025, arXiv 2506.07527): a group is hardest where all of its replies are well formed and wrong. One
with a badly formed or unreadable reply may only lack the form, and is left out.
"""

from collections.abc import Iterable, Iterator

from maieutic.recipes.groups import attempts, by_policy, drop_kept
from maieutic.recipes.items import Prompt
from maieutic.recipes.recipe import Candidate, Tally, recipe
from maieutic.types import Outcome


@recipe("relift", needs="verified groups")
def relift(runs: Iterable[Candidate], tally: Tally, *, least: int = 8, newest: int | None = None) -> Iterator[Prompt]:
    """`least` attempts a group; `newest` keeps only so many prompts, those begun last (ReLIFT: the newest 128)."""
    hardest: list[tuple[float, Prompt]] = []
    for group in by_policy(attempts(runs, tally, "relift")).values():
        if len(group) < least:
            drop_kept(tally, f"fewer than {least} attempts", len(group))
        elif is_hardest([attempt.outcome for attempt in group]):
            first = group[0]
            ids = tuple(attempt.run.header.run_id for attempt in group)
            prompt = Prompt(first.prompt, dict(first.run.header.task), ids, {"attempts": len(group)})
            hardest.append((first.run.header.started, prompt))
        else:
            drop_kept(tally, "not hardest", len(group))
    hardest.sort(key=lambda entry: entry[0], reverse=True)
    yield from (prompt for _, prompt in hardest[:newest])


def is_hardest(outcomes: list[Outcome]) -> bool:
    """Whether every reply was readable and wrong."""
    return bool(outcomes) and all(outcome is Outcome.WRONG for outcome in outcomes)
