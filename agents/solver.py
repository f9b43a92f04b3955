"""The solver: works a question out, with tools where the run has some."""

from dataclasses import dataclass
from typing import Any

from maieutic.agents.prompts import opening
from maieutic.agents.speech import MAX_TURNS, Solution, converse, fitted, read_solution
from maieutic.context import Context
from maieutic.trace.record import Parent
from maieutic.types import Message, Sampling


def question_in_conversation(ctx: Context, role: str, speaker: str = "") -> tuple[Message, ...]:
    """The question, after what was said before it where the model can hold a conversation. `speaker` is who is asked
    by the role's prompt, where the role itself isn't."""
    system, *rest = opening(ctx, role, speaker=speaker)
    history = ctx.run.history if ctx.model_for(speaker or role).profile.conversation else ()
    return (system, *history, *rest)


@dataclass(frozen=True, slots=True)
class Solver:
    """Solves the run's question. `sampling` overrides the run's own; `max_turns` bounds model calls; `speaker` is who
    speaks by the role's prompt, where the role itself doesn't."""

    role: str = "solver"
    sampling: Sampling = Sampling()
    max_turns: int = MAX_TURNS
    speaker: str = ""

    async def __call__(self, ctx: Context, *, parents: tuple[Parent, ...] = ()) -> Solution:
        said = await converse(
            ctx,
            self.speaker or self.role,
            question_in_conversation(ctx, self.role, self.speaker),
            tools=ctx.tools,
            sampling=self.sampling,
            parents=parents,
            max_turns=self.max_turns,
        )
        return read_solution(ctx, said)


def unaided(solver: Any) -> Any:
    """The same solver without tools; one that can't be told so stays as it is."""
    return fitted(solver, max_turns=1)
