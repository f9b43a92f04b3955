"""The judge: picks one of several solutions that disagree."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.trace.record import Parent
from maieutic.types import Sampling

_CHOICE = re.compile(r"choice\W{0,6}(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Judge:
    """Chooses among candidates. Returns None where its choice could not be read or names no candidate."""

    role: str = "judge"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, candidates: Sequence[Solution]) -> Solution | None:
        shown = "\n\n".join(f"Candidate {i}:\n{c.text.strip()}" for i, c in enumerate(candidates, 1))
        messages = opening(ctx, self.role, candidates=shown)
        parents = tuple(Parent(c.call_id, "judge") for c in candidates)
        said = await ctx.sample(self.role, messages, sampling=self.sampling, parents=parents)
        choice = read_choice(said.text, len(candidates))
        chosen = candidates[choice - 1] if choice else None
        ctx.record("verdict", call_id=said.call_id, choice=chosen.call_id if chosen else None)
        ctx.emit("verdict", role=self.role, choice=choice)
        return chosen


def read_choice(text: str, candidates: int) -> int | None:
    """The last candidate number named in `text`, counted from 1; None where there is none in range."""
    found = _CHOICE.findall(text)
    choice = int(found[-1]) if found else 0
    return choice if 1 <= choice <= candidates else None
