"""The critic: names the first wrong step of a solution."""

import re
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.tasks.extraction import without_thoughts
from maieutic.trace.record import Parent
from maieutic.types import Sampling

_VERDICT = re.compile(r"first wrong step\W{0,6}(none|no\b|\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Critique:
    """A review. `accepts` is None where the critic gave no verdict that could be read: missing is not approval."""

    text: str
    call_id: str
    accepts: bool | None
    first_wrong: int | None


@dataclass(frozen=True, slots=True)
class Critic:
    """Reviews a solution and names its first wrong step; `maieutic.agents.step_critic` has a verdict for each."""

    role: str = "critic"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, solution: Solution) -> Critique:
        messages = opening(ctx, self.role, solution=without_thoughts(solution.text).strip())
        parents = (Parent(solution.call_id, "critique"),)
        said = await ctx.sample(self.role, messages, sampling=self.sampling, parents=parents)
        accepts, step = read_verdict(said.text)
        ctx.record("verdict", call_id=said.call_id, of=solution.call_id, accepts=accepts, first_wrong=step)
        ctx.emit("verdict", role=self.role, accepts=accepts, first_wrong=step)
        return Critique(said.text.strip(), said.call_id, accepts, step)


def steps_of(solution: Solution) -> list[str]:
    """The steps that a critic speaks of: the solution's lines that are not empty, without thoughts, counted from 1."""
    return [line.strip() for line in without_thoughts(solution.text).splitlines() if line.strip()]


def read_verdict(text: str) -> tuple[bool | None, int | None]:
    """(accepts, first wrong step) from the last verdict line; (None, None) where there is none."""
    found = _VERDICT.findall(without_thoughts(text))
    if not found:
        return None, None
    word = found[-1].lower()
    return (False, int(word)) if word.isdigit() else (True, None)
