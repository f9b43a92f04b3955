"""The summariser: says where an unfinished attempt stands, for others who work on the same problem."""

from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.context import Context, Utterance
from maieutic.trace.record import Parent
from maieutic.types import Sampling


@dataclass(frozen=True, slots=True)
class Summariser:
    """Sums up the attempt that the call `made` brought, in `most` tokens at most; adds nothing to it."""

    role: str = "summariser"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, attempt: str, made: str, most: int | None = None) -> Utterance:
        messages = opening(ctx, self.role, attempt=attempt)
        parents = (Parent(made, "continuation"),)
        return await ctx.sample(self.role, messages, sampling=self.sampling, parents=parents, most=most)
