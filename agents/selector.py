"""The selector: says whether a question needs to be thought about before it is answered.

Self-selective reasoning: Li et al. 2025, "When Thinking Fails: The Pitfalls of Reasoning for Instruction-Following in
LLMs", arXiv 2505.11423.
"""

import re
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.context import Context
from maieutic.tasks.extraction import without_thoughts
from maieutic.types import Sampling

_THINK = re.compile(r"think\W{0,6}(yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Selection:
    """Whether to think; None where the selector didn't say so that it can be read."""

    think: bool | None
    call_id: str


@dataclass(frozen=True, slots=True)
class Selector:
    """Looks at the question alone."""

    role: str = "selector"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context) -> Selection:
        messages = opening(ctx, self.role)
        reply = await ask(ctx, self.role, messages, read_selection, "Think: <yes or no>", sampling=self.sampling)
        return Selection(reply.value, reply.call_id)


def read_selection(text: str) -> bool | None:
    """The last word on it in `text`; None where there is none."""
    found = _THINK.findall(without_thoughts(text))
    return found[-1].lower() == "yes" if found else None
