"""The step critic: a verdict on every step of a solution, and the first wrong one.

The critique's form is AutoMathCritique's (Xi et al. 2024, arXiv 2411.16579): each step with a verdict and why, the
verdict on the whole in the last line. What it says of steps are labels from which a reward model of steps can learn.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.critic import Critique, read_verdict, steps_of
from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.agents.speech import Solution
from maieutic.agents.stepper import numbered
from maieutic.context import Context
from maieutic.tasks.extraction import without_thoughts
from maieutic.trace.record import Parent
from maieutic.types import Sampling

FORM = "Step 1: <correct or wrong>, <why>\nStep 2: <correct or wrong>, <why>\nFirst wrong step: <number or none>"
_STEP = re.compile(r"^\W{0,6}step\s{1,3}(\d+)\W{1,8}(correct|right|wrong|incorrect)\b", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class StepCritic:
    """Reviews a solution as the critic does, with a verdict for each step. A reply that contradicts itself can't be
    read: it is asked for once more, and is then missing."""

    role: str = "step-critic"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, solution: Solution) -> Critique:
        steps = steps_of(solution)
        messages = opening(ctx, self.role, steps=numbered(steps))
        parents = (Parent(solution.call_id, "critique"),)

        def read(text: str) -> tuple[bool, int | None] | None:
            return concluded(read_steps(text, len(steps)), read_verdict(text))

        reply = await ask(ctx, self.role, messages, read, FORM, sampling=self.sampling, parents=parents)
        accepts, first = reply.value or (None, None)
        verdicts = read_steps(reply.text, len(steps)) if reply.value else (None,) * len(steps)
        said = {"of": solution.call_id, "accepts": accepts, "first_wrong": first}
        ctx.record("verdict", call_id=reply.call_id, **said, steps=list(verdicts))
        for number, verdict in enumerate(verdicts, 1):
            if verdict is not None:
                ctx.record("label", of=solution.call_id, name="step_correct", value=verdict, step=number)
        ctx.emit("verdict", role=self.role, accepts=accepts, first_wrong=first)
        return Critique(without_thoughts(reply.text).strip(), reply.call_id, accepts, first)


def read_steps(text: str, steps: int) -> tuple[bool | None, ...]:
    """The last verdict on each step in `text`; None for a step that has none."""
    said = {int(number): word.lower() for number, word in _STEP.findall(without_thoughts(text))}
    return tuple(said[i] in ("correct", "right") if i in said else None for i in range(1, steps + 1))


def concluded(steps: Sequence[bool | None], whole: tuple[bool | None, int | None]) -> tuple[bool, int | None] | None:
    """The verdict on the whole and the first wrong step: as it was said, else as the steps before it tell.

    None where neither tells, where they contradict each other, or where the step is none of the solution's.
    """
    accepts, named = whole
    found = next((i for i, verdict in enumerate(steps, 1) if verdict is False), None)
    if accepts is None:
        before = steps if found is None else steps[: found - 1]
        return None if None in before or not steps else (found is None, found)
    if named is not None and not 1 <= named <= len(steps):
        return None
    contradicted = found is not None if accepts else found not in (None, named) or steps[(named or 1) - 1] is True
    return None if contradicted else (accepts, named)
