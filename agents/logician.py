"""The logician: puts a question into propositional logic, and a truth table decides what follows."""

import re
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.tasks.answers import canonical
from maieutic.tasks.task import PublicTask, options
from maieutic.tasks.truth_table import Argument, Finding, UnreadableFormula, decide
from maieutic.types import Sampling

FORM = (
    "<variables>\np: what it stands for\n</variables>\n<premises>\none formula a line\n</premises>\n"
    "<conclusion>\none formula\n</conclusion>"
)
_WORDS = {"True": ("true", "yes"), "False": ("false", "no"), "Uncertain": ("uncertain", "unknown", "undetermined")}


@dataclass(frozen=True, slots=True)
class Logician:
    """Writes variables, premises and a conclusion; the table says True, False or Uncertain. There is no answer where
    they can't be read, or where the premises contradict each other."""

    role: str = "logician"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context) -> Solution:
        reply = await ask(ctx, self.role, opening(ctx, self.role), read_argument, FORM, sampling=self.sampling)
        if reply.value is None:
            return Solution("The formulas could not be read.", None, reply.call_id)
        table = decide(reply.value)
        ctx.record("note", call_id=reply.call_id, rows=table.rows, allowed=table.allowed, holds=table.holds)
        answer = answer_of(table.finding, ctx.task)
        text = (
            f"{reply.text.strip()}\n\nOf {table.rows} rows the premises allow {table.allowed}; "
            f"the conclusion holds in {table.holds} of them."
        )
        return Solution(text if answer is None else f"{text}\nAnswer: {answer}", answer, reply.call_id)


def read_argument(text: str) -> Argument | None:
    """The last variables, premises and conclusion in `text`; None where one is missing or a formula can't be read."""
    variables, premises, conclusion = (_last(tag, text) for tag in ("variables", "premises", "conclusion"))
    if variables is None or premises is None or not conclusion:
        return None
    names = tuple(re.split(r"[:=]", line, maxsplit=1)[0].strip() for line in variables)
    argument = Argument(names, tuple(premises), " ".join(conclusion))
    try:
        decide(argument)
    except UnreadableFormula:
        return None
    return argument


def answer_of(finding: Finding | None, task: PublicTask) -> str | None:
    """What the table found, as the task's answers are written: an option where it has options, else the question's
    own word for what is uncertain. None where it found nothing, or nothing that the task has a word for."""
    if finding is None:
        return None
    labelled = options(task["inputs"])
    if labelled:
        named = [label for label, text in labelled.items() if text.strip().rstrip(".").lower() in _WORDS[finding]]
        return named[0] if len(named) == 1 else None
    asked = task["question"].lower()
    word = str(finding)
    if finding == "Uncertain":
        word = next((word.capitalize() for word in _WORDS[finding] if word in asked), word)
    return word if canonical(word, task["answer_type"]) is not None else None


def _last(tag: str, text: str) -> list[str] | None:
    """The lines of the last block of that name, numbers and dashes before them left out."""
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    if not found:
        return None
    lines = [re.sub(r"^\s*(?:\d+[.)]|[*•]|-(?!\s*>)(?=\s))\s*", "", line).strip() for line in found[-1].splitlines()]
    return [line for line in lines if line]
