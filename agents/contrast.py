"""The contraster: says what it expects of a step, compares that with what came of it, and draws a lesson.

Contrastive reflection: Yu et al. 2024, "ExACT: Teaching AI Agents to Explore with Reflective-MCTS and Exploratory
Learning", arXiv 2410.02052.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.reflector import FORM, Reflection, read_lesson
from maieutic.agents.reply import ask
from maieutic.agents.stepper import numbered
from maieutic.context import Context
from maieutic.trace.record import Parent
from maieutic.types import Sampling


@dataclass(frozen=True, slots=True)
class Contraster:
    """Two calls: the expectation (role contraster), which does not see the outcome, and the lesson (role hindsight)."""

    role: str = "contraster"
    sampling: Sampling = Sampling()

    async def __call__(
        self, ctx: Context, steps: Sequence[str], action: str, later: Sequence[str], success: bool | None, of: str
    ) -> Reflection:
        parents = (Parent(of, "reflection"),) if of else ()
        before = opening(ctx, self.role, steps=numbered(steps), action=action)
        expected = await ctx.sample(self.role, before, sampling=self.sampling, parents=parents)
        word = "not known" if success is None else "it succeeded" if success else "it failed"
        shown = {"steps": numbered(steps), "action": action, "expected": expected.text.strip(), "success": word}
        after = opening(ctx, "hindsight", later=numbered(later), **shown)
        parents = (Parent(expected.call_id, "reflection"), *parents)
        reply = await ask(ctx, "hindsight", after, read_lesson, FORM, sampling=self.sampling, parents=parents)
        return Reflection(reply.value, reply.call_id)
