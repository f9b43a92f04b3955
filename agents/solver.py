"""The solver: works a question out, with tools where the run has some."""

from dataclasses import dataclass, is_dataclass, replace
from typing import Any

from maieutic.agents.prompts import opening
from maieutic.agents.speech import MAX_TURNS, Solution, converse, read_solution
from maieutic.context import Context
from maieutic.trace.record import Parent
from maieutic.types import Message, Sampling


def question_in_conversation(ctx: Context, role: str) -> tuple[Message, ...]:
    """The question, after what was said before it where the model can hold a conversation."""
    system, *rest = opening(ctx, role)
    history = ctx.run.history if ctx.model_for(role).profile.conversation else ()
    return (system, *history, *rest)


@dataclass(frozen=True, slots=True)
class Solver:
    """Solves the run's question. `sampling` overrides the run's own; `max_turns` bounds model calls."""

    role: str = "solver"
    sampling: Sampling = Sampling()
    max_turns: int = MAX_TURNS

    async def __call__(self, ctx: Context, *, parents: tuple[Parent, ...] = ()) -> Solution:
        said = await converse(
            ctx,
            self.role,
            question_in_conversation(ctx, self.role),
            tools=ctx.tools,
            sampling=self.sampling,
            parents=parents,
            max_turns=self.max_turns,
        )
        return read_solution(ctx, said)


def unaided(solver: Any) -> Any:
    """The same solver without tools; one that can't be told so stays as it is."""
    if is_dataclass(solver) and not isinstance(solver, type) and hasattr(solver, "max_turns"):
        return replace(solver, max_turns=1)
    return solver
