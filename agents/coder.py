"""The coder: answers a question with a program, which is run; what it prints last is the answer."""

import json
import re
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.tasks.answers import extract
from maieutic.tasks.code import parses, unfenced
from maieutic.types import Sampling, ToolCall

FORM = "<code>\nthe program\n</code>"


@dataclass(frozen=True, slots=True)
class Coder:
    """Writes one program over the tool `python`. One that can't be read, fails or prints nothing has no answer: what
    the coder itself says the answer is does not count."""

    role: str = "coder"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context) -> Solution:
        reply = await ask(ctx, self.role, opening(ctx, self.role), read_code, FORM, sampling=self.sampling)
        if reply.value is None:
            return Solution("The program could not be read.", None, reply.call_id)
        call = ToolCall("program", "python", json.dumps({"code": reply.value}, ensure_ascii=False))
        result = await ctx.use(call, reply.call_id)
        answer = printed_answer(ctx, result.content) if result.status == "ok" else None
        text = f"```python\n{reply.value}\n```\nIt prints:\n{result.content}"
        return Solution(text if answer is None else f"{text}\nAnswer: {answer}", answer, reply.call_id)


def read_code(text: str) -> str | None:
    """The last program in `text`; None where there is none that is Python."""
    found = re.findall(r"<code>(.*?)</code>", text, re.DOTALL)
    code = unfenced(found[-1]) if found else ""
    return code if parses(code) else None


def printed_answer(ctx: Context, output: str) -> str | None:
    """The answer in what a program printed: an explicit one, else its last line. Lines in brackets are the tool's."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    own = [line for line in lines if not (line.startswith("[") and line.endswith("]"))]
    return extract(output, ctx.task["answer_type"]) or (own[-1] if own else None)
