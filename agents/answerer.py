"""The answerer: answers from passages, or from what it knows where there are none, and may say that it doesn't know."""

from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.passages import Passage, shown
from maieutic.agents.prompts import opening
from maieutic.agents.speech import Solution, read_solution
from maieutic.context import Context
from maieutic.tasks.scalars import text_key
from maieutic.trace.record import Parent
from maieutic.types import Sampling

UNKNOWN = "I don't know"


def abstains(solution: Solution) -> bool:
    """Whether the answer says that it isn't known."""
    return text_key(solution.answer or "") == text_key(UNKNOWN)


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
