"""The refiner: repairs a solution after a critique."""

from dataclasses import dataclass

from maieutic.agents.critic import Critique
from maieutic.agents.prompts import opening
from maieutic.agents.speech import MAX_TURNS, Solution, converse, read_solution
from maieutic.context import Context
from maieutic.trace.record import Parent
from maieutic.types import Sampling


@dataclass(frozen=True, slots=True)
class Refiner:
    """Writes a whole new solution from the old one and its critique."""

    role: str = "refiner"
    sampling: Sampling = Sampling()
    max_turns: int = MAX_TURNS

    async def __call__(self, ctx: Context, solution: Solution, critique: Critique) -> Solution:
        messages = opening(ctx, self.role, solution=solution.text.strip(), critique=critique.text)
        parents = (Parent(critique.call_id, "critique"), Parent(solution.call_id, "reflection"))
        said = await converse(
            ctx,
            self.role,
            messages,
            tools=ctx.tools,
            sampling=self.sampling,
            parents=parents,
            max_turns=self.max_turns,
        )
        return read_solution(ctx, said)
