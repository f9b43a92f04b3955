"""A stepper for models that write whole solutions: a step is the next line that the solver would write.

The solver is asked as always, and goes on in its own turn after the lines so far until the line ends. A model that was
never told to take single steps can be searched with so, where its steps are lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from maieutic.agents.prompts import opening
from maieutic.agents.stepper import LONGEST, Step
from maieutic.context import Context
from maieutic.tasks.answers import canonical, extract
from maieutic.trace.record import Parent
from maieutic.types import Message, Sampling

END = "\n"


@dataclass(frozen=True, slots=True)
class LineStepper:
    """Takes the next line after `steps`, the last of which is `before`'s call. None where the turn ends there.

    Its prompt is the solver's: lessons (`notes`) have no place in it, and tools aren't offered. The model has to be one
    that can go on in the middle of its turn.
    """

    role: str = "solver"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, steps: Sequence[str], notes: str = "", before: str = "") -> Step | None:
        messages = opening(ctx, self.role)
        if steps:
            begun: Message = {"role": "assistant", "content": END.join([*steps, ""])}
            messages = (*messages, begun)
        parents = (Parent(before, "continuation"),) if before else ()
        sampling = replace(self.sampling, stop=(END,))
        said = await ctx.sample(self.role, messages, sampling=sampling, parents=parents, continue_final=bool(steps))
        line = said.completion.text.strip()[:LONGEST]
        if not line:
            return None
        kind = ctx.task["answer_type"]
        answer = extract(line, kind)
        key = None if answer is None else canonical(answer, kind)
        return Step(
            line, f"line {' '.join(line.lower().split())}" if key is None else f"answer {key}", said.call_id, answer
        )
