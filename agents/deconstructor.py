"""The deconstructor: takes a question apart in fifteen sections, from its literal reading to a checked answer.

Lingo, Arroyo and Chhajer 2024, "Enhancing LLM Problem Solving with REAP: Reflection, Explicit Problem Deconstruction,
and Advanced Prompting", arXiv 2409.09415: one prompt with ordered sections. Which sections there are follows others'
accounts of that prompt, since there is no code of the paper's; the wording is this project's.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from maieutic.agents.prompts import opening
from maieutic.agents.speech import Solution, converse
from maieutic.context import Context
from maieutic.tasks.extraction import extract, without_thoughts
from maieutic.tasks.task import AnswerType
from maieutic.trace.record import Parent
from maieutic.types import Message, Sampling

SECTIONS = (
    "Literal reading",
    "Strict reading",
    "Features",
    "Process",
    "Key insight",
    "Facts and deductions",
    "Parts",
    "Graph of thoughts",
    "Objects in space",
    "Update",
    "Ethics and risk",
    "Solutions",
    "Quickest solution",
    "Reflection",
    "Final answer",
)
INSIGHT, LEDGER, REFLECTION, FINAL = 4, 5, 13, 14
_HEADING = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]*|\*\*[ \t]*)(?:section[ \t]+)?(\d{1,2})\b[^\n]*$", re.IGNORECASE | re.MULTILINE
)
_SETTLED = re.compile(r"settled\W{0,6}yes\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Deconstruction:
    """What was written. `sections` has those that could be read, by number; `missing` are those that ought to be there.

    `solution` is all of it with its answer; `said` the conversation up to it.
    """

    solution: Solution
    sections: Mapping[int, str]
    missing: tuple[int, ...]
    said: tuple[Message, ...] = field(repr=False)

    @property
    def call_id(self) -> str:
        return self.solution.call_id

    @property
    def settled(self) -> bool:
        """Whether the key insight was said to settle the question, so that sections 5 to 13 are left out."""
        return _SETTLED.search(self.sections.get(INSIGHT, "")) is not None

    def checkable(self) -> Solution:
        """The parts that a critic can work with: facts and deductions, the reflection on assumptions, the answer."""
        kept = [written({n: self.sections[n]}) for n in (LEDGER, REFLECTION, FINAL) if n in self.sections]
        return replace(self.solution, text="\n\n".join(kept)) if kept else self.solution


@dataclass(frozen=True, slots=True)
class Deconstructor:
    """Writes all sections at once; `complete` asks once for those that are missing."""

    role: str = "deconstructor"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context) -> Deconstruction:
        said = await converse(ctx, self.role, opening(ctx, self.role), tools=ctx.tools, sampling=self.sampling)
        answer = extract(said.text, ctx.task["answer_type"])
        sections = read_sections(said.text)
        missing = missing_of(sections, ctx.task["answer_type"])
        return Deconstruction(
            Solution(said.text, answer, said.call_id, said.messages), sections, missing, said.messages
        )

    async def complete(self, ctx: Context, first: Deconstruction) -> Deconstruction:
        """Ask for the missing sections, and nothing else. What is missing then stays so. Raises ModelError."""
        request = f"These sections are missing. Write them, and nothing else:\n{form(first.missing)}"
        messages: tuple[Message, ...] = (*first.said, {"role": "user", "content": request})
        parents = (Parent(first.call_id, "retry"),)
        said = await converse(ctx, self.role, messages, tools=ctx.tools, sampling=self.sampling, parents=parents)
        added = {n: text for n, text in read_sections(said.text).items() if n in first.missing}
        sections = {**first.sections, **added}
        missing = missing_of(sections, ctx.task["answer_type"])
        if not added:
            return replace(first, missing=missing, said=said.messages)
        answer = extract(said.text, ctx.task["answer_type"]) if FINAL in added else None
        by = said.call_id if answer is not None else first.call_id
        whole = Solution(written(sections), answer if answer is not None else first.solution.answer, by, said.messages)
        return Deconstruction(whole, sections, missing, said.messages)


def form(numbers: Iterable[int]) -> str:
    """The headings of sections, as they are to be written."""
    return "\n".join(f"## {n}. {SECTIONS[n]}" for n in numbers)


def read_sections(text: str) -> dict[int, str]:
    """The sections of `text` by number, without thoughts; of several with one number, the last. Empty is missing."""
    spoken = without_thoughts(text)
    found = list(_HEADING.finditer(spoken))
    ends = [*(heading.start() for heading in found[1:]), len(spoken)] if found else []
    read = {int(h[1]): spoken[h.end() : end].strip() for h, end in zip(found, ends, strict=True)}
    return {n: said for n, said in sorted(read.items()) if n < len(SECTIONS) and said}


def missing_of(sections: Mapping[int, str], answer_type: AnswerType) -> tuple[int, ...]:
    """The sections that ought to be there and aren't; a final one without a readable answer is missing too."""
    settled = _SETTLED.search(sections.get(INSIGHT, "")) is not None
    wanted = [n for n in range(len(SECTIONS)) if not (settled and INSIGHT < n < FINAL)]
    silent = extract(sections.get(FINAL, ""), answer_type) is None
    return tuple(n for n in wanted if n not in sections or (n == FINAL and silent))


def written(sections: Mapping[int, str]) -> str:
    return "\n\n".join(f"## {n}. {SECTIONS[n]}\n{text}" for n, text in sorted(sections.items()))
