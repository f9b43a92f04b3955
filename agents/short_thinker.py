"""The short thinker: writes the answer from another model's thoughts, or says that they are not enough.

The short-thought role of Long⊗Short: Ning et al. 2025, arXiv 2505.11827. Deviation: an answer without the marks counts
where it can be read as in any other reply; an empty one is missing, as there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.long_thinker import Said, after, dialogue
from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.context import Context, Proposal
from maieutic.tasks.answers import extract, without_thoughts
from maieutic.tasks.task import AnswerType
from maieutic.types import Sampling

FORM = "Write <answer> and then your solution and </answer>, or what is missing and </rethink>."
LAST_FORM = (
    "Nobody thinks further about it. Write <answer>, your solution, which ends with a line that begins with Answer: "
    "and holds the result that is best supported, and </answer>."
)
REPAIR = "<answer>\n<your solution>\nAnswer: <the result>\n</answer>"
REPAIR_OR_NOT = f"{REPAIR}\nor, where the thoughts are not enough:\n<answer>\n<what is missing>\n</rethink>"
_MARK = re.compile(r"<(/?)(answer|rethink)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply says: its text, the answer read from it, and whether more thought is asked for."""

    text: str
    answer: str | None
    rethink: bool


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a short thinker wrote in its turn, and whether it asks for more thought; None where that can't be told."""

    text: str
    answer: str | None
    rethink: bool | None
    call_id: str

    @property
    def shown(self) -> str:
        return f"<answer>\n{self.text}\n{'</answer>' if self.rethink is False else '</rethink>'}"

    @property
    def proposal(self) -> Proposal:
        return Proposal(self.answer, self.text, self.call_id)


@dataclass(frozen=True, slots=True)
class ShortThinker:
    """Concludes from the dialogue so far in `most` tokens at most; in the `last` turn it has to answer."""

    role: str = "short-thinker"
    sampling: Sampling = Sampling()

    async def __call__(
        self, ctx: Context, history: Sequence[Said], last: bool = False, most: int | None = None
    ) -> Conclusion:
        messages = opening(ctx, self.role, history=dialogue(history), form=LAST_FORM if last else FORM)
        reply = await ask(
            ctx,
            self.role,
            messages,
            lambda text: read_conclusion(text, ctx.task["answer_type"]),
            REPAIR if last else REPAIR_OR_NOT,
            sampling=self.sampling,
            parents=after(history),
            most=most,
        )
        if reply.value is None:
            return Conclusion(without_thoughts(reply.text).strip(), None, None, reply.call_id)
        return Conclusion(reply.value.text, reply.value.answer, reply.value.rethink, reply.call_id)


def read_conclusion(text: str, answer_type: AnswerType = "auto") -> Reading | None:
    """The last block of a reply, by the mark it ends with; without one, an answer in the common form. Else None."""
    text = without_thoughts(text).strip()
    marks = list(_MARK.finditer(text))
    while marks and not marks[-1][1]:
        marks.pop()
    if not marks:
        answer = extract(text, answer_type)
        return Reading(text, answer, False) if answer is not None else None
    begin = marks[-2].end() if len(marks) > 1 else 0
    content = text[begin : marks[-1].start()].strip()
    answer = extract(content, answer_type)
    if marks[-1][2].lower() == "rethink":
        return Reading(content, answer, True)
    if answer is None and "\n" not in content:
        answer = content or None
    return Reading(content, answer, False) if answer is not None else None
