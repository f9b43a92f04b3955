"""The validator: does a text support claims, contradict them, or say nothing about them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.context import Context
from maieutic.tasks.answers import without_thoughts
from maieutic.trace.record import Parent
from maieutic.types import Sampling

Support = Literal["supported", "contradicted", "silent"]
_LINE = re.compile(r"^\W{0,6}(?:claim\s)?(\d+)\W{1,6}(supported|contradicted|silent)\b", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Validation:
    """A judgement for each claim, None where there was none that could be read; `call_id` is the call it is from."""

    judgements: tuple[Support | None, ...]
    call_id: str


@dataclass(frozen=True, slots=True)
class Validator:
    """Holds claims against one text; all of them in one call."""

    role: str = "validator"
    sampling: Sampling = Sampling()

    async def __call__(
        self, ctx: Context, claims: Sequence[str], evidence: str, parents: tuple[Parent, ...] = ()
    ) -> Validation:
        form = "\n".join(f"{number}: <supported, contradicted or silent>" for number in range(1, len(claims) + 1))
        listed = "\n".join(f"{number}. {claim}" for number, claim in enumerate(claims, 1))
        messages = opening(ctx, self.role, evidence=evidence, claims=listed, form=form)

        def read(text: str) -> tuple[Support | None, ...] | None:
            judgements = read_judgements(text, len(claims))
            return None if None in judgements else judgements

        reply = await ask(ctx, self.role, messages, read, form, sampling=self.sampling, parents=parents)
        judgements = reply.value or read_judgements(reply.text, len(claims))  # what can be read of it stays
        ctx.record("note", call_id=reply.call_id, judgements=judgements)
        return Validation(judgements, reply.call_id)


def read_judgements(text: str, claims: int) -> tuple[Support | None, ...]:
    """The last judgement on each claim in `text`; None for a claim that has none."""
    found: dict[int, Support] = {}
    for number, word in _LINE.findall(without_thoughts(text)):
        found[int(number)] = word.lower()
    return tuple(found.get(number) for number in range(1, claims + 1))
