"""The valuers: how much a partial solution is worth, by a debate over it and a judge, or by a judge alone.

Value by debate: Yu et al. 2024, "ExACT: Teaching AI Agents to Explore with Reflective-MCTS and Exploratory Learning",
arXiv 2410.02052.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.agents.stepper import numbered
from maieutic.context import Context
from maieutic.tasks.extraction import without_thoughts
from maieutic.trace.record import Parent
from maieutic.types import Sampling

_STATUS = re.compile(r"status\W{0,6}([A-E])\b", re.IGNORECASE)
STATUSES = "ABCDE"


@dataclass(frozen=True, slots=True)
class Argument:
    """What one side of the debate says."""

    text: str
    call_id: str


@dataclass(frozen=True, slots=True)
class Arguer:
    """Argues for a partial solution (role supporter) or against it (role opponent); `of` is the call it ends in."""

    role: str
    sampling: Sampling = Sampling(temperature=0.1)

    async def __call__(self, ctx: Context, steps: Sequence[str], of: str = "") -> Argument:
        messages = opening(ctx, self.role, steps=numbered(steps))
        parents = (Parent(of, "debate"),) if of else ()
        said = await ctx.sample(self.role, messages, sampling=self.sampling, parents=parents)
        return Argument(without_thoughts(said.text).strip(), said.call_id)


@dataclass(frozen=True, slots=True)
class Valuer:
    """Reads a partial solution, with the arguments about it where there are some, and gives it one of five statuses,
    A (solved) to E (lost); None where none can be read. `of` is the call it ends in."""

    role: str = "valuer"
    sampling: Sampling = Sampling(temperature=1.0)

    async def __call__(
        self, ctx: Context, steps: Sequence[str], arguments: Sequence[Argument] = (), notes: str = "", of: str = ""
    ) -> str | None:
        said = "\n\n".join(argument.text for argument in arguments) or "none"
        messages = opening(ctx, self.role, steps=numbered(steps), arguments=said, notes=notes or "none")
        judged = (Parent(of, "judge"),) if of else ()
        parents = (*judged, *(Parent(argument.call_id, "debate") for argument in arguments))
        form = "Status: <A, B, C, D or E>"
        reply = await ask(ctx, self.role, messages, read_status, form, sampling=self.sampling, parents=parents)
        ctx.record("verdict", call_id=reply.call_id, status=reply.value)
        return reply.value


def supporter(sampling: Sampling = Sampling(temperature=0.1)) -> Arguer:
    """Argues for a partial solution."""
    return Arguer("supporter", sampling)


def opponent(sampling: Sampling = Sampling(temperature=0.1)) -> Arguer:
    """Argues against a partial solution."""
    return Arguer("opponent", sampling)


def read_status(text: str) -> str | None:
    """The last status in `text`; None where there is none."""
    found = _STATUS.findall(without_thoughts(text))
    return found[-1].upper() if found else None
