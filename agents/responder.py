"""The responder: answers at once, without working anything out in writing."""

from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.speech import Solution, read_solution
from maieutic.context import Context
from maieutic.trace.record import Parent
from maieutic.types import Sampling


@dataclass(frozen=True, slots=True)
class Responder:
    """Answers the run's question in one reply, without tools. `speaker` is who speaks by the role's prompt, where the
    role itself doesn't."""

    role: str = "responder"
    sampling: Sampling = Sampling()
    speaker: str = ""

    async def __call__(self, ctx: Context, *, parents: tuple[Parent, ...] = ()) -> Solution:
        speaker, messages = self.speaker or self.role, opening(ctx, self.role, speaker=self.speaker)
        said = await ctx.sample(speaker, messages, sampling=self.sampling, parents=parents)
        return read_solution(ctx, said)
