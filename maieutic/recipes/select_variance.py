"""`select_variance`: the prompts whose accuracy has varied most over the versions of a model: where training moves it.

1-shot RLVR (Wang et al. 2025, arXiv 2504.20571) ranks examples by the variance of their accuracy over epochs.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from heapq import nsmallest
from itertools import groupby
from statistics import fmean, pvariance

from maieutic.errors import UserError
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.groups import ENDED_EARLY, Attempt, Group, by_policy, drop_kept
from maieutic.recipes.items import Prompt
from maieutic.recipes.recipe import Tally, recipe


@recipe("select_variance", needs="verified runs of several versions of the weights")
def select_variance(runs: Candidates, tally: Tally, *, most: int = 1, repeat: int = 1) -> Iterator[Prompt]:
    """The `most` prompts of highest variance, each `repeat` times (the paper fills a batch with one).

    A group that ended early tells no fair accuracy: it is left out. Raises UserError where no question was asked of two
    versions of the weights.
    """
    varied = _varied(by_policy(runs, tally, "select_variance"), tally)
    best = nsmallest(most, varied, key=lambda prompt: (-prompt.meta["variance"], prompt.meta["task"]))
    drop_kept(tally, "less variance", tally.kept - sum(len(prompt.runs) for prompt in best))
    for prompt in best:
        for number in range(repeat):
            yield replace(prompt, meta={**prompt.meta, "copy": number})


def _varied(groups: Iterable[Group], tally: Tally) -> Iterator[Prompt]:
    """The questions that were asked of two versions of the weights or more."""
    questions = compared = 0
    for task, policies in groupby(groups, key=lambda group: group.task):
        fair: list[Attempt] = []
        for group in policies:
            if group.ended_early:
                drop_kept(tally, ENDED_EARLY, len(group.attempts))
            else:
                fair += group.attempts
        values = history(fair)
        questions += bool(fair)
        if len(values) > 1:
            compared += 1
            ids = tuple(attempt.run.header.run_id for attempt in fair)
            meta = {"task": task, "history": values, "variance": pvariance(values)}
            yield Prompt(fair[0].prompt, dict(fair[0].run.header.task), ids, meta)
    if questions and not compared:
        raise UserError("The recipe select_variance needs runs of the same questions by two versions of the weights.")


def history(group: list[Attempt]) -> list[float]:
    """The accuracy at one question under each version of the weights, in the order in which they were first seen."""
    versions: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in sorted(group, key=lambda attempt: attempt.run.header.started):
        completion = attempt.call.completion
        versions[(completion.weights if completion else None) or "unknown"].append(attempt)
    return [fmean(attempt.right for attempt in seen) for seen in versions.values()]
