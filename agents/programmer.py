"""The programmer: writes a program and tests for it, and puts it right after it has seen what the tests said."""

import ast
import re
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.agents.speech import Solution
from maieutic.context import Context, Utterance
from maieutic.tasks.code import parses, unfenced
from maieutic.trace.record import Parent
from maieutic.types import Message, Sampling

FORM = "<code>\nthe program\n</code>\n<tests>\nassert …\n</tests>"
_FROZEN = "The tests stay as they are: give the program alone, between <code> and </code>."
_BOTH = "Put right what is wrong, be it in the program or in the tests, and give both again, in the same form."


@dataclass(frozen=True, slots=True)
class Draft:
    """A program with its tests; `code` is None where neither could be read. `said` is the call that wrote it."""

    text: str
    code: str | None
    tests: str | None
    said: Utterance

    @property
    def call_id(self) -> str:
        return self.said.call_id

    @property
    def solution(self) -> Solution:
        """The program as an answer that every verifier reads."""
        if self.code is None:
            return Solution(self.text.strip(), None, self.call_id)
        return Solution(f"Answer:\n```python\n{self.code}\n```", self.code, self.call_id)


@dataclass(frozen=True, slots=True)
class Programmer:
    """Writes a first draft, or, given one and what its tests said, the next. With `frozen` the tests stay."""

    role: str = "programmer"
    sampling: Sampling = Sampling()

    async def __call__(
        self, ctx: Context, before: Draft | None = None, report: str = "", frozen: bool = False
    ) -> Draft:
        tests = before.tests if before is not None and frozen else None
        messages: tuple[Message, ...] = opening(ctx, self.role)
        parents: tuple[Parent, ...] = ()
        if before is not None:
            told = f"The tests were run:\n{report}\n\nSay what is wrong. {_FROZEN if frozen else _BOTH}"
            messages = (*before.said.messages, {"role": "user", "content": told})
            parents = (Parent(before.call_id, "reflection"),)

        def read(text: str) -> tuple[str, str] | None:
            return read_program(text, tests)

        form = FORM if tests is None else FORM.partition("\n<tests>")[0]
        reply = await ask(ctx, self.role, messages, read, form, sampling=self.sampling, parents=parents)
        code, wanted = reply.value or (None, None)
        return Draft(reply.text, code, wanted, reply.said)


def read_program(text: str, tests: str | None = None) -> tuple[str, str] | None:
    """The last program in `text` and its tests, which are `tests` where those are given. None where one is missing, is
    no Python, or the tests assert nothing."""
    code = _last("code", text)
    tests = _last("tests", text) if tests is None else tests
    if code is None or tests is None or not parses(code) or not parses(tests):
        return None
    asserts = any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(tests)))
    return (code, tests) if asserts else None


def _last(tag: str, text: str) -> str | None:
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return unfenced(found[-1]) if found else None
