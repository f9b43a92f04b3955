"""The bias detector: says of a judge's choice whether it looks like one by bias, and why.

The reasoning-based detector of Yang et al. 2025, "Any Large Language Model Can Be a Reliable Judge: Debiasing with a
Reasoning-based Bias Detector" (RBD), arXiv 2505.17100, played by any model. Theirs is trained: give the role a model of
its own to use one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.judge import judged, listed
from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.tasks.extraction import without_thoughts
from maieutic.types import Sampling

FORM = "Biased: <yes or no>"
_BIASED = re.compile(r"biased\W{0,6}(yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What the detector says. `biased` is None where that could not be read: it clears nobody and suspects nobody."""

    biased: bool | None
    text: str
    call_id: str


@dataclass(frozen=True, slots=True)
class BiasDetector:
    """Looks at the candidates and at what was chosen in each order they were shown in; `choices` are places in
    `candidates`, counted from 1, None where a choice could not be read."""

    role: str = "bias-detector"
    sampling: Sampling = Sampling()

    async def __call__(
        self, ctx: Context, candidates: Sequence[Solution], choices: Sequence[int | None], judge: str
    ) -> Suspicion:
        orders = ("in the order below", "in the opposite order")
        decisions = "\n".join(
            f"Shown {order}: {f'candidate {choice}' if choice else 'no readable choice'}"
            for order, choice in zip(orders, choices, strict=False)
        )
        messages = opening(ctx, self.role, candidates=listed(candidates), decisions=decisions, judge=judge)
        parents = judged(candidates)
        reply = await ask(ctx, self.role, messages, read_suspicion, FORM, sampling=self.sampling, parents=parents)
        return Suspicion(reply.value, without_thoughts(reply.text).strip(), reply.call_id)


def read_suspicion(text: str) -> bool | None:
    """The last word on whether the choice is biased; None where there is none."""
    found = _BIASED.findall(without_thoughts(text))
    return found[-1].lower() == "yes" if found else None
