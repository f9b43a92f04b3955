"""The retrier: reads an attempt that failed and what was said of it, and makes a whole new one, not an edit.

The reflector of Dou et al. 2024, "Re-ReST: Reflection-Reinforced Self-Training for Language Agents", arXiv 2406.01495.
"""

from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.reflector import first_line, transcript
from maieutic.agents.speech import MAX_TURNS, Solution, converse, read_solution
from maieutic.context import Context
from maieutic.trace.record import Parent
from maieutic.types import Sampling


@dataclass(frozen=True, slots=True)
class Retrial:
    """A new attempt, and the lesson that its author said it had drawn; None where none could be read."""

    solution: Solution
    lesson: str | None


@dataclass(frozen=True, slots=True)
class Retrier:
    """Makes a new attempt at the run's question, with tools where the run has some; `notes` are lessons kept so far."""

    role: str = "retrier"
    sampling: Sampling = Sampling()
    max_turns: int = MAX_TURNS

    async def __call__(self, ctx: Context, attempt: Solution, feedback: str, notes: str = "") -> Retrial:
        messages = opening(ctx, self.role, attempt=transcript(attempt), feedback=feedback, notes=notes or "none")
        said = await converse(
            ctx,
            self.role,
            messages,
            tools=ctx.tools,
            sampling=self.sampling,
            parents=(Parent(attempt.call_id, "reflection"),),
            max_turns=self.max_turns,
        )
        solution = read_solution(ctx, said)
        return Retrial(solution, first_line(transcript(solution)))
