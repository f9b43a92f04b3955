"""The judge of twenty questions: knows the entity and one question, nothing of the game, and answers in a word.

Zhang et al. 2023, "Probing the Multi-turn Planning Capabilities of LLMs via 20 Question Games", arXiv 2310.01468.
"""

import re
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.reply import Reply, ask
from maieutic.context import Context
from maieutic.tasks.extraction import without_thoughts
from maieutic.trace.record import Parent
from maieutic.types import Sampling

WORDS = ("Yes", "No", "Maybe")
_WORD = re.compile(r"\W*(yes|no|maybe)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class EntityJudge:
    """Says whether what is asked holds for the entity. It sees the gold answer, so its run needs the oracle."""

    role: str = "entity-judge"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, entity: str, asked: str, parents: tuple[Parent, ...] = ()) -> Reply[str]:
        messages = opening(ctx, self.role, entity=entity.partition("|")[0], asked=asked)
        return await ask(
            ctx, self.role, messages, read_word, "Yes, No or Maybe", sampling=self.sampling, parents=parents
        )


def read_word(text: str) -> str | None:
    """The word that a reply begins with; None where it is none of the three."""
    found = _WORD.match(without_thoughts(text))
    return found[1].capitalize() if found else None
