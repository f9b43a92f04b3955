"""The responder: answers at once, without working anything out in writing."""

from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.speech import Solution, read_solution
from maieutic.context import Context
from maieutic.trace.record import Parent
from maieutic.types import Sampling


@dataclass(frozen=True, slots=True)
class Responder:
    """Answers the run's question in one reply, without tools."""

    role: str = "responder"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, *, parents: tuple[Parent, ...] = ()) -> Solution:
        said = await ctx.sample(self.role, opening(ctx, self.role), sampling=self.sampling, parents=parents)
        return read_solution(ctx, said)
