"""The analysts: one states a question anew, one takes it apart; neither answers it."""

import re
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.agents.rewriter import read_rewrite
from maieutic.context import Context
from maieutic.tasks.extraction import without_thoughts
from maieutic.types import Sampling

_PART = re.compile(r"^\s*(?:#+\s*)?(?:part\s+|step\s+)?\d{1,2}[.):]\s+(\S.*)$", re.IGNORECASE | re.MULTILINE)
MOST = 12  # parts


@dataclass(frozen=True, slots=True)
class Analysis:
    """What an analyst made of the question; `text` is None where it could not be read."""

    text: str | None
    call_id: str


@dataclass(frozen=True, slots=True)
class Rephraser:
    """States the question anew, with nothing changed but its words."""

    role: str = "rephraser"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context) -> Analysis:
        form = "<rewrite>the question in other words</rewrite>"
        reply = await ask(ctx, self.role, opening(ctx, self.role), read_rewrite, form, sampling=self.sampling)
        return Analysis(reply.value, reply.call_id)


@dataclass(frozen=True, slots=True)
class Decomposer:
    """Takes the question apart into smaller ones, in the order in which they are to be answered."""

    role: str = "decomposer"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context) -> Analysis:
        form = "1. <the first smaller question>\n2. <the next one>"
        reply = await ask(ctx, self.role, opening(ctx, self.role), read_parts, form, sampling=self.sampling)
        return Analysis(reply.value, reply.call_id)


def read_parts(text: str) -> str | None:
    """The numbered lines of `text`, numbered anew; None where there are none."""
    parts = [part.strip() for part in _PART.findall(without_thoughts(text))][:MOST]
    return "\n".join(f"{i}. {part}" for i, part in enumerate(parts, 1)) or None
