"""How sure a model is of an answer by its own samples: how many of the others say the same, and how good that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maieutic.calibration.measures import calibration_error, separation
from maieutic.evals.items import Attempt, grouped
from maieutic.stats import Interval
from maieutic.tasks.answers import canonical
from maieutic.tasks.task import AnswerType
from maieutic.types import Outcome


@dataclass(frozen=True, slots=True)
class Agreement:
    """The samples' agreement as a confidence: `error` is its expected calibration error, `separation` how often a right
    answer has more agreement than a wrong one (AUROC), None where all are right or all wrong."""

    error: Interval
    separation: float | None


def agreement(attempts: Sequence[Attempt], types: Mapping[str, AnswerType]) -> Agreement | None:
    """Every answer with the share of the other samples at its question that say the same (self-consistency as a
    confidence; Wang et al. 2023, arXiv 2203.11171). None where no question has two samples."""
    sure: list[float] = []
    right: list[bool] = []
    tasks: list[str] = []
    for task, group in grouped(a for a in attempts if a.outcome is not None and a.task in types).items():
        said = [_said(attempt, types[task]) for attempt in group]
        for attempt, own in zip(group, said, strict=True):
            if own is not None and len(group) > 1:
                sure.append((said.count(own) - 1) / (len(group) - 1))
                right.append(attempt.right)
                tasks.append(task)
    return Agreement(calibration_error(sure, right, tasks), separation(sure, right)) if sure else None


def _said(attempt: Attempt, answer_type: AnswerType) -> object:
    silent = attempt.answer is None or attempt.outcome is Outcome.ABSTAINED
    return None if silent else canonical(attempt.answer or "", answer_type)
