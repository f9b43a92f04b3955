"""What graphs make of confidences: votes that weigh more or less, and "I don't know" where nobody is sure enough."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from pydantic import Field

from maieutic.agents.confidence import Confidence, agreement
from maieutic.agents.speech import Solution
from maieutic.calibration.calibrator import Calibrator
from maieutic.context import Context, Proposal
from maieutic.errors import BudgetExceeded, ModelError
from maieutic.graphs.fanout import fan_out
from maieutic.graphs.graph import GraphSettings
from maieutic.graphs.votes import Tally
from maieutic.tasks.abstention import ABSTENTION


class CertaintySettings(GraphSettings):
    """Settings of graphs that know how sure they are."""

    calibration: str | None = None
    """The file that makes confidences into shares of right answers (`maieutic calibrate` writes it); None takes them
    as they are."""
    abstain_below: float | None = Field(default=None, ge=0, le=1)
    """Say "I don't know" where the confidence in the answer is less; None always answers."""

    def calibrator(self) -> Calibrator | None:
        """Raises ConfigError where the file can't be read."""
        return Calibrator.load(self.calibration) if self.calibration else None


class Rater(Protocol):
    """Says how sure a model is of a solution; the others' are its `ideas`."""

    async def __call__(
        self, ctx: Context, solution: Solution, calibrator: Calibrator | None, ideas: Sequence[Solution], /
    ) -> Confidence: ...


async def rate_all(
    ctx: Context, rater: Rater, solutions: Sequence[Solution], calibrator: Calibrator | None
) -> dict[str, float | None]:
    """How sure the rater is of each solution, by its call, all asked at once; where a call fails it is missing."""
    names = {f"rating-{i}": solution for i, solution in enumerate(solutions, 1)}
    sure: dict[str, float | None] = {}

    async def rate(branch: Context) -> None:
        solution = names[branch.branch.path.rsplit("/", 1)[-1]]
        sure[solution.call_id] = (await rater(branch, solution, calibrator, solutions)).value

    with suppress(ModelError, BudgetExceeded):  # of every one of them: then all are missing
        await fan_out(ctx, list(names), rate)
    return sure


def agreed(
    ctx: Context, role: str, tally: Tally, calibrator: Calibrator | None, model: str | None = None, stage: str = ""
) -> Confidence | None:
    """The confidence that a vote gives its winner; `role` is who voted, `model` names the models where several did.
    None where nobody did."""
    if tally.winner is None or tally.share is None:
        return None
    return agreement(ctx, role, tally.winner, tally.share, calibrator, model, stage)


def abstains_below(ctx: Context, confidence: Confidence | None, threshold: float | None) -> bool:
    """Propose "I don't know" where the confidence is below the threshold; a missing one is not below anything."""
    if threshold is None:
        return False
    value = confidence.value if confidence else None
    unsure = value is not None and value < threshold
    ctx.gate("abstention", "abstain" if unsure else "answer", confidence=value, threshold=threshold)
    if unsure:
        ctx.propose(Proposal(ABSTENTION, f"Answer: {ABSTENTION}"))
    return unsure


def role_of(agent: Any) -> str:
    """The role whose model an agent speaks with; an own agent need not have one."""
    return str(getattr(agent, "speaker", "") or getattr(agent, "role", ""))
