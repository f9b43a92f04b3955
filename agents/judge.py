"""The judge: picks one of several solutions that disagree."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.tasks.extraction import without_thoughts
from maieutic.trace.record import Parent
from maieutic.types import Message, Sampling

FORM = "Choice: <number>"
_CHOICE = re.compile(r"choice\W{0,6}(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Judge:
    """Chooses among candidates. Returns None where its choice could not be read or names no candidate.

    It sees them as they are, in the order in which they are given: what is done against its biases is
    `maieutic.agents.debiased`. `reference` is what somebody remarked on an earlier choice of its.
    """

    role: str = "judge"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, candidates: Sequence[Solution], reference: str = "") -> Solution | None:
        messages = opening(ctx, self.role, candidates=listed(candidates))
        if reference:
            messages = (*messages[:-1], _referring(messages[-1], reference))
        parents = judged(candidates)

        def read(text: str) -> int | None:
            return read_choice(without_thoughts(text), len(candidates))

        reply = await ask(ctx, self.role, messages, read, FORM, sampling=self.sampling, parents=parents)
        chosen = candidates[reply.value - 1] if reply.value else None
        call = chosen.call_id or None if chosen else None
        ctx.record("verdict", call_id=reply.call_id, choice=call, place=reply.value)
        ctx.emit("verdict", role=self.role, choice=reply.value)
        return chosen


def judged(candidates: Sequence[Solution]) -> tuple[Parent, ...]:
    """The calls that are judged; a candidate that no call of this run has written has none."""
    return tuple(Parent(candidate.call_id, "judge") for candidate in candidates if candidate.call_id)


def listed(candidates: Sequence[Solution]) -> str:
    """The candidates as a judge sees them, numbered from 1."""
    return "\n\n".join(f"Candidate {i}:\n{c.text.strip() or '(no text)'}" for i, c in enumerate(candidates, 1))


def read_choice(text: str, candidates: int) -> int | None:
    """The last candidate number named in `text`, counted from 1; None where there is none in range."""
    found = _CHOICE.findall(text)
    choice = int(found[-1]) if found else 0
    return choice if 1 <= choice <= candidates else None


def _referring(asked: Message, reference: str) -> Message:
    """The question with the remarks behind it, so that what came before stays a common prefix."""
    remarks = (
        "Somebody who looked at an earlier choice between these candidates suspects a bias in it. The remarks are for "
        f"reference only, and may be wrong:\n{reference}\n\nChoose again, by what the candidates say alone."
    )
    return {**asked, "content": f"{asked['content']}\n\n{remarks}"}
