"""The reviser: rewrites a response so that it keeps what the question demands of its form."""

from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.speech import Solution, read_solution
from maieutic.context import Context
from maieutic.tasks.constraints import response
from maieutic.trace.record import Parent
from maieutic.types import Sampling


@dataclass(frozen=True, slots=True)
class Reviser:
    """Writes the whole response again; `demands` are those that it failed to keep, in words."""

    role: str = "reviser"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, draft: Solution, demands: Sequence[str]) -> Solution:
        listed = "\n".join(f"- {demand}" for demand in demands)
        messages = opening(ctx, self.role, draft=response(draft.text), demands=listed)
        parents = (Parent(draft.call_id, "reflection"),)
        return read_solution(ctx, await ctx.sample(self.role, messages, sampling=self.sampling, parents=parents))
