"""The rewriter: turns the last question of a conversation into one that stands alone, for a search.

After Zhu et al. 2025, "ConvSearch-R1: Enhancing Query Reformulation for Conversational Search with Reasoning via
Reinforcement Learning".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.context import Context
from maieutic.trace.record import Parent
from maieutic.types import Message, Sampling

_REWRITE = re.compile(r"<rewrite>(.*?)</rewrite>", re.DOTALL | re.IGNORECASE)
LONGEST = 2000  # characters of one message that are shown


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A question to search with. `rewritten` is None where no rewriting could be read: `query` is then the question
    as it was asked. `call_id` is None where there was nothing before it, and no model was asked."""

    query: str
    rewritten: str | None
    call_id: str | None


@dataclass(frozen=True, slots=True)
class Rewriter:
    """Reads what was said before the run's question: its history, or another one that is given."""

    role: str = "rewriter"
    sampling: Sampling = Sampling()

    async def __call__(
        self, ctx: Context, history: Sequence[Message] | None = None, parents: tuple[Parent, ...] = ()
    ) -> Rewriting:
        question = ctx.task["question"]
        conversation = _shown(ctx.run.history if history is None else history)
        if not conversation:
            return Rewriting(question, None, None)
        messages = opening(ctx, self.role, conversation=conversation, question=question)
        said = await ctx.sample(self.role, messages, sampling=self.sampling, parents=parents)
        rewritten = read_rewrite(said.text)
        ctx.record("note", call_id=said.call_id, rewritten=rewritten)
        return Rewriting(rewritten or question, rewritten, said.call_id)


def read_rewrite(text: str) -> str | None:
    """The last rewriting in `text`, on one line; None where there is none."""
    found = [" ".join(part.split()) for part in _REWRITE.findall(text)]
    return found[-1] or None if found else None


def _shown(history: Sequence[Message]) -> str:
    """What was said, a paragraph a turn; calls of tools and what came back are left out."""
    names = {"user": "Question", "assistant": "Answer"}
    turns = []
    for message in history:
        said = message["content"]
        if message["role"] in names and isinstance(said, str) and said.strip():
            text = said.strip()
            turns.append(f"{names[message['role']]}: {text if len(text) <= LONGEST else text[:LONGEST] + ' …'}")
    return "\n\n".join(turns)
