"""`select_variance`: the prompts whose accuracy has varied most over the versions of a model: where training moves it.

1-shot RLVR (Wang et al. 2025, arXiv 2504.20571) ranks examples by the variance of their accuracy over epochs.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from statistics import fmean, pvariance

from maieutic.errors import UserError
from maieutic.recipes.groups import Attempt, attempts, by_task, drop_kept
from maieutic.recipes.items import Prompt
from maieutic.recipes.recipe import Candidate, Tally, recipe


@recipe("select_variance", needs="verified runs of several versions of the weights")
def select_variance(runs: Iterable[Candidate], tally: Tally, *, most: int = 1, repeat: int = 1) -> Iterator[Prompt]:
    """The `most` prompts of highest variance, each `repeat` times (the paper fills a batch with one).

    Raises UserError where no question was asked of two versions of the weights.
    """
    tasks = by_task(attempts(runs, tally, "select_variance"))
    histories = {task: history(group) for task, group in tasks.items()}
    if tasks and all(len(values) < 2 for values in histories.values()):
        raise UserError("The recipe select_variance needs runs of the same questions by two versions of the weights.")
    ranked = sorted(tasks, key=lambda task: (-pvariance(histories[task]), task))
    for place, task in enumerate(ranked):
        group = tasks[task]
        if place >= most or len(histories[task]) < 2:
            drop_kept(tally, "less variance", len(group))
            continue
        ids = tuple(attempt.run.header.run_id for attempt in group)
        meta = {"history": histories[task], "variance": pvariance(histories[task])}
        for number in range(repeat):
            yield Prompt(group[0].prompt, dict(group[0].run.header.task), ids, {**meta, "copy": number})


def history(group: list[Attempt]) -> list[float]:
    """The accuracy at one question under each version of the weights, in the order in which they were first seen."""
    versions: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in sorted(group, key=lambda attempt: attempt.run.header.started):
        completion = attempt.call.completion
        versions[(completion.weights if completion else None) or "unknown"].append(attempt)
    return [fmean(attempt.right for attempt in seen) for seen in versions.values()]
