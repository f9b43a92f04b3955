"""`rewarded`: runs with a reward in named parts, each part beside the sum: for reinforcement learning and for looking.

The parts are those of `maieutic.tasks.rewards`; a run's group are the runs of the same prompt by the same policy.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.groups import ended_early, policies
from maieutic.recipes.items import Episode
from maieutic.recipes.recipe import Tally, recipe
from maieutic.recipes.solved import winning_path
from maieutic.tasks.rewards.parts import Reward, Scored
from maieutic.trace.record import RunRecord

PLAIN: Mapping[str, float] = {"answer": 1.0}


@recipe("rewarded", needs="any runs")
def rewarded(
    runs: Candidates,
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
    for group in policies(runs.by_task()):
        tally.seen += len(group)
        finished = [candidate for candidate in group if candidate.summary.finished is not None]
        if unfinished := len(group) - len(finished):
            tally.dropped["unfinished"] += unfinished
        early = ended_early(group)
        if early:
            tally.counts["groups_that_ended_early"] += 1
        yield from _scored_group([candidate.load() for candidate in finished], reward, tally, early)


def _scored_group(runs: list[RunRecord], reward: Reward, tally: Tally, early: bool) -> Iterator[Episode]:
    plain = [_scored(run) for run in runs]
    for run, one in zip(runs, plain, strict=True):
        parts = reward.parts(Scored(one.text, one.tokens, one.outcome, tuple(plain), one.facts))
        total = reward.total(parts)
        if total is None:
            tally.dropped["nothing to score"] += 1
            continue
        tally.kept += 1
        meta = {"rewards": parts, "reward": total, "group": run.header.group_id}
        yield Episode(run, winning_path(run), {**meta, **({"ended_early": True} if early else {})})


def _scored(run: RunRecord) -> Scored:
    path = winning_path(run)
    said = [call.completion for call in path if call.completion is not None]
    statuses = [str(event.fields["status"]) for event in run.events_of("tool_result")]
    outcome = run.finish.fields.get("outcome") if run.finish else None
    tokens = sum(completion.usage.completion_tokens for completion in said)
    return Scored("\n".join(c.text for c in said), tokens, outcome, facts={"tool_statuses": statuses})
