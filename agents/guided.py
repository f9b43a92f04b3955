"""Guided solvers: they work the question out with something beside it: lessons, an analysis of it, a plan."""

from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.speech import MAX_TURNS, Solution, converse, read_solution
from maieutic.context import Context
from maieutic.trace.record import Parent
from maieutic.types import Sampling


@dataclass(frozen=True, slots=True)
class Guided:
    """Solves the run's question with `notes` in its prompt; what they are, the role's prompt says."""

    role: str
    sampling: Sampling = Sampling()
    max_turns: int = MAX_TURNS

    async def __call__(self, ctx: Context, notes: str, parents: tuple[Parent, ...] = ()) -> Solution:
        said = await converse(
            ctx,
            self.role,
            opening(ctx, self.role, notes=notes),
            tools=ctx.tools,
            sampling=self.sampling,
            parents=parents,
            max_turns=self.max_turns,
        )
        return read_solution(ctx, said)


def learner(sampling: Sampling = Sampling()) -> Guided:
    """The solver that has lessons of earlier attempts before it."""
    return Guided("learner", sampling)


def executor(sampling: Sampling = Sampling()) -> Guided:
    """The solver that has an analysis of the question before it."""
    return Guided("executor", sampling)


def worker(sampling: Sampling = Sampling()) -> Guided:
    """The solver that carries out what a controller has laid out."""
    return Guided("worker", sampling)
