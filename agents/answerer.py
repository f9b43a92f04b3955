"""The answerer: answers from passages, or from what it knows where there are none, and may say that it doesn't know."""

from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.passages import Passage, shown
from maieutic.agents.prompts import opening
from maieutic.agents.speech import Solution, read_solution
from maieutic.context import Context
from maieutic.trace.record import Parent
from maieutic.types import Sampling


@dataclass(frozen=True, slots=True)
class Answerer:
    """Writes a rationale and an answer. Without passages it is asked with the prompt `closed_book`."""

    role: str = "answerer"
    closed_book: str = "closed-book"
    sampling: Sampling = Sampling()

    async def __call__(
        self, ctx: Context, passages: Sequence[Passage] = (), parents: tuple[Parent, ...] = ()
    ) -> Solution:
        if passages:
            messages = opening(ctx, self.role, passages=shown(passages))
        else:
            messages = opening(ctx, self.closed_book)
        said = await ctx.sample(self.role, messages, sampling=self.sampling, parents=parents)
        return read_solution(ctx, said)
