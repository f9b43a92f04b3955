"""The debater: reads what others concluded and answers again, keeping or changing its mind."""

from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.speech import Solution, converse, read_solution
from maieutic.context import Context
from maieutic.trace.record import Parent
from maieutic.types import Sampling


@dataclass(frozen=True, slots=True)
class Debater:
    """Answers the run's question again in the light of others' solutions.

    Its prompt may show them all in one order that is the same for every debater, `{solutions}` with its own one's
    `{number}`, so that the debaters of a round share their prompts but for the end; or its `{own}` and the `{others}`.
    """

    role: str = "debater"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, own: Solution, others: Sequence[Solution]) -> Solution:
        everyone = sorted((own, *others), key=lambda solution: (len(solution.call_id), solution.call_id))
        messages = opening(
            ctx,
            self.role,
            solutions="\n\n".join(f"Solution {i}:\n{s.text.strip()}" for i, s in enumerate(everyone, 1)),
            number=str(everyone.index(own) + 1),
            own=own.text.strip(),
            others="\n\n".join(f"Other solution:\n{other.text.strip()}" for other in others),
        )
        parents = (Parent(own.call_id, "continuation"), *(Parent(o.call_id, "debate") for o in others))
        said = await converse(ctx, self.role, messages, tools=ctx.tools, sampling=self.sampling, parents=parents)
        return read_solution(ctx, said)
