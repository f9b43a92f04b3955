"""`rewarded`: runs with a reward in named parts, each part beside the sum: for reinforcement learning and for looking.

The parts are those of `maieutic.tasks.rewards`; a run's group are the runs of the same prompt by the same policy.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from maieutic.recipes.items import Episode
from maieutic.recipes.recipe import Candidate, Tally, recipe
from maieutic.recipes.solved import winning_path
from maieutic.tasks.rewards.parts import Reward, Scored
from maieutic.trace.record import RunRecord

PLAIN: Mapping[str, float] = {"answer": 1.0}


@recipe("rewarded", needs="any runs")
def rewarded(
    runs: Iterable[Candidate],
    tally: Tally,
    *,
    weights: dict[str, float] = dict(PLAIN),  # noqa: B006
    settings: dict[str, dict[str, Any]] = {},  # noqa: B006
) -> Iterator[Episode]:
    """`weights` are the parts by name, `settings` what each is given. Raises UnknownName for a part that is not there.

    A run whose every part is missing is dropped. Parts that need facts of their own (a gold query, a patch) are missing
    here: give them in Python.
    """
    reward = Reward(weights, settings)
    groups: defaultdict[str, list[Candidate]] = defaultdict(list)
    for candidate in runs:
        tally.seen += 1
        if candidate.summary.finished is None:
            tally.dropped["unfinished"] += 1
            continue
        groups[candidate.summary.group_id or candidate.summary.run_id].append(candidate)
    for group in groups.values():
        yield from _scored_group([candidate.load() for candidate in group], reward, tally)


def _scored_group(runs: list[RunRecord], reward: Reward, tally: Tally) -> Iterator[Episode]:
    plain = [_scored(run) for run in runs]
    for run, one in zip(runs, plain, strict=True):
        parts = reward.parts(Scored(one.text, one.tokens, one.outcome, tuple(plain), one.facts))
        total = reward.total(parts)
        if total is None:
            tally.dropped["nothing to score"] += 1
            continue
        tally.kept += 1
        yield Episode(run, winning_path(run), {"rewards": parts, "reward": total, "group": run.header.group_id})


def _scored(run: RunRecord) -> Scored:
    path = winning_path(run)
    said = [call.completion for call in path if call.completion is not None]
    statuses = [str(event.fields["status"]) for event in run.events_of("tool_result")]
    outcome = run.finish.fields.get("outcome") if run.finish else None
    tokens = sum(completion.usage.completion_tokens for completion in said)
    return Scored("\n".join(c.text for c in said), tokens, outcome, facts={"tool_statuses": statuses})
