"""The long thinker: thinks a problem through for another model, which writes the answer.

The long-thought role of Long⊗Short: Ning et al. 2025, arXiv 2505.11827.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from maieutic.agents.prompts import opening
from maieutic.context import Context
from maieutic.trace.record import Parent
from maieutic.types import Completion, Sampling

CLOSE = "</think>"
_OPEN = re.compile(r"\A\s*<think>\s*", re.IGNORECASE)


class Said(Protocol):
    """A turn of the dialogue: `shown` is what both models read of it."""

    @property
    def call_id(self) -> str: ...

    @property
    def shown(self) -> str: ...


@dataclass(frozen=True, slots=True)
class LongThought:
    """What a long thinker thought in its turn, without the marks around it."""

    text: str
    call_id: str

    @property
    def shown(self) -> str:
        return f"<think>\n{self.text}\n{CLOSE}"


@dataclass(frozen=True, slots=True)
class LongThinker:
    """Thinks on from the dialogue so far for `most` tokens at most; its turn ends where its thought is closed."""

    role: str = "long-thinker"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, history: Sequence[Said], most: int | None = None) -> LongThought:
        messages = opening(ctx, self.role, history=dialogue(history))
        sampling = replace(self.sampling, stop=(CLOSE,))
        said = await ctx.sample(self.role, messages, sampling=sampling, parents=after(history), most=most)
        return LongThought(_thought(said.completion), said.call_id)


def dialogue(history: Sequence[Said]) -> str:
    """All turns, in order; what came earlier stays in front, so that a server's cache knows it."""
    return "\n\n".join(said.shown for said in history) or "none yet"


def after(history: Sequence[Said]) -> tuple[Parent, ...]:
    return (Parent(history[-1].call_id, "continuation"),) if history else ()


def _thought(completion: Completion) -> str:
    """The thought, wherever the server puts it; what stands behind its end is not one."""
    parts = (completion.reasoning, _OPEN.sub("", completion.text).partition(CLOSE)[0])
    return "\n\n".join(part.strip() for part in parts if part and part.strip())
