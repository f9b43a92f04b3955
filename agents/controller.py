"""The controller: lays out for another model what is to be done, and lays it out anew when that went wrong.

After Li et al. 2024, "Matryoshka: Learning to Drive Black-Box LLMs with LLMs", arXiv 2410.20749.
"""

from dataclasses import dataclass

from maieutic.agents.analyst import read_parts
from maieutic.agents.prompts import opening
from maieutic.agents.reflector import transcript
from maieutic.agents.reply import ask
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.trace.record import Parent
from maieutic.types import Sampling

FORM = "1. <the first part>\n2. <the next one>"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a controller laid out: numbered parts, a line each; `text` is None where none could be read."""

    text: str | None
    call_id: str


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier turn: the layout, what the worker made of it, and what was said of that."""

    layout: Layout
    work: Solution
    feedback: str


@dataclass(frozen=True, slots=True)
class Controller:
    """Reads the question and, after a turn that failed, that turn; never solves the question itself."""

    role: str = "controller"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, before: Turn | None = None) -> Layout:
        messages = opening(ctx, self.role, before=_shown(before))
        parents = (
            ()
            if before is None
            else (Parent(before.layout.call_id, "reflection"), Parent(before.work.call_id, "reflection"))
        )
        reply = await ask(ctx, self.role, messages, read_parts, FORM, sampling=self.sampling, parents=parents)
        return Layout(reply.value, reply.call_id)


def _shown(before: Turn | None) -> str:
    if before is None:
        return "none"
    plan = before.layout.text or "none that could be read"
    return (
        f"Plan:\n{plan}\n\nWhat the worker did:\n{transcript(before.work)}\n\nWhat was said of it:\n{before.feedback}"
    )
