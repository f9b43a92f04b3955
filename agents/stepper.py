"""The stepper: takes one step from where a solution stands: a thought, a call of a tool, or the final answer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.context import Context
from maieutic.tasks.answers import canonical, extract
from maieutic.tasks.extraction import without_thoughts
from maieutic.trace.record import Parent
from maieutic.types import Sampling, ToolCall

LONGEST = 2000  # characters of one step that are kept


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `key` is what equal steps share; `answer` is there where it is the last one."""

    text: str
    key: str
    call_id: str
    answer: str | None = None
    call: ToolCall | None = None


@dataclass(frozen=True, slots=True)
class Stepper:
    """Takes the next step after `steps` (texts, with what tools said in them), the last of which is `before`'s call.
    None where it wrote none."""

    role: str = "stepper"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, steps: Sequence[str], notes: str = "", before: str = "") -> Step | None:
        messages = opening(ctx, self.role, steps=numbered(steps), notes=notes or "none")
        parents = (Parent(before, "continuation"),) if before else ()
        said = await ctx.sample(self.role, messages, tools=ctx.tools, sampling=self.sampling, parents=parents)
        thought = without_thoughts(said.text).strip()[:LONGEST]
        if said.completion.tool_calls:
            call = said.completion.tool_calls[0]
            shown = f"[Call of {call.name}]\n{call.arguments}"
            return Step(
                f"{thought}\n{shown}".strip(), f"call {call.name} {_plain(call.arguments)}", said.call_id, None, call
            )
        if not thought:
            return None
        answer = extract(thought, ctx.task["answer_type"])
        key = None if answer is None else canonical(answer, ctx.task["answer_type"])
        same = f"answer {key}" if key is not None else f"step {' '.join(thought.lower().split())}"
        return Step(thought, same, said.call_id, answer)


def numbered(steps: Sequence[str]) -> str:
    return "\n\n".join(f"Step {i}: {step}" for i, step in enumerate(steps, 1)) or "none yet"


def _plain(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except ValueError:
        return arguments.strip()
