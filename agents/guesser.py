"""The guesser: finds out what somebody is thinking of, by one question at a time.

Zhang et al. 2023, "Probing the Multi-turn Planning Capabilities of LLMs via 20 Question Games", arXiv 2310.01468.
"""

from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.context import Context, Utterance
from maieutic.trace.record import Parent
from maieutic.types import Sampling


@dataclass(frozen=True, slots=True)
class Guesser:
    """Asks the next question; `before` is what it asked last and `heard` what was answered to that."""

    role: str = "guesser"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, turns: int, before: Utterance | None = None, heard: str = "") -> Utterance:
        if before is None:
            return await ctx.sample(self.role, opening(ctx, self.role, turns=str(turns)), sampling=self.sampling)
        return await ctx.sample(
            self.role,
            (*before.messages, {"role": "user", "content": heard}),
            sampling=self.sampling,
            parents=(Parent(before.call_id, "continuation"),),
        )
