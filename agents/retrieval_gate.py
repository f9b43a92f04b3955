"""The retrieval gate: how probably looking something up helps with the next part of an answer.

Self-RAG's retrieval token (Asai et al. 2023, arXiv 2310.11511), asked of any model.
"""

import re
from dataclasses import dataclass
from typing import Literal

from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.context import Context
from maieutic.trace.record import Parent
from maieutic.types import Sampling

_PERCENT = re.compile(r"look(?:ing)? up\W{0,6}(\d{1,3})(?![\d.])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Need:
    """`probability` that retrieval helps, in [0, 1]; None where it can't be told. `method` is where it is from, and
    `call_id` the call that said it, None where the model's own probabilities did."""

    probability: float | None
    method: Literal["options", "verbal"]
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class RetrievalGate:
    """Reads P(yes) / (P(yes) + P(no)) from the first token of the reply. A model that gives no log-probabilities is
    asked for a percentage instead."""

    role: str = "retrieval-gate"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, so_far: str = "", parents: tuple[Parent, ...] = ()) -> Need:
        written = so_far.strip() or "(nothing yet)"
        messages = opening(ctx, self.role, so_far=written, form="Reply with one word: Yes or No.")
        found = await ctx.ask_options(self.role, messages, ("Yes", "No"), sampling=self.sampling, parents=parents)
        if found is not None:
            return Need(found["Yes"], "options")
        form = "Look up: <0 to 100>"
        messages = opening(ctx, self.role, so_far=written, form=f"Reply with how probable that is, in percent:\n{form}")
        reply = await ask(ctx, self.role, messages, read_need, form, sampling=self.sampling, parents=parents)
        return Need(reply.value, "verbal", reply.call_id)


def read_need(text: str) -> float | None:
    """The last percentage in `text` as a probability; None where there is none within 0 to 100."""
    found = _PERCENT.findall(text)
    return int(found[-1]) / 100 if found and int(found[-1]) <= 100 else None
