"""Tools within one line of thought: a model writes a call between marks, reads what came of it, and thinks on.

What is put in is never the model's own text: where its tokens are at hand it is part of the next call's prompt (a note
says where it begins), so that rows of token ids are not trained on it; elsewhere it is a message of the user.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from maieutic.agents.grammar import Grammar, first_block
from maieutic.agents.speech import Solution
from maieutic.context import Context, Utterance
from maieutic.tasks.answers import extract
from maieutic.trace.record import Parent
from maieutic.types import Message, Sampling, ToolCall, ToolResult

Insertion = Literal["auto", "thought", "turn"]
CLOSE = "</think>"


def as_it_is(result: ToolResult) -> str:
    """What a tool brought, whole."""
    return result.content


@dataclass(frozen=True, slots=True)
class Line:
    """A line of thought as far as it goes.

    `text` is what the model itself said last. `action` is what it wants to be run, `answer` what
    it ended in, both None where there is none. `calls` counts what was run or refused so far, `thinking` says that an
    opened thought is not closed yet, `ended` that the line goes no further.
    """

    said: Utterance
    text: str
    action: str | None
    answer: str | None
    calls: int
    thinking: bool
    ended: bool

    @property
    def call_id(self) -> str:
        return self.said.call_id

    @property
    def solution(self) -> Solution:
        """The answer with the model's last words, in which no result of a tool stands, that may look like an answer."""
        return Solution(self.text.strip(), self.answer, self.call_id)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is put in behind a line, in its marks; `result` is None where nothing was run."""

    call_id: str
    text: str
    result: ToolResult | None


@dataclass(frozen=True, slots=True)
class Tagged:
    """Speaks in a grammar: `begin`, then `act` and `go_on` in turn until the line has ended.

    At most `max_calls` actions are run or refused; after the last of them the model is told so, and whatever it says
    then ends the line. Model calls: `max_calls` + 1 at most. `shown` makes of a result what the model sees of it.
    `insertion` says where that is put: in the thought itself, which needs a model whose tokens are at hand or that goes
    on with an open message, or as a turn of the user; auto takes the thought where tokens are at hand.
    """

    role: str
    grammar: Grammar
    sampling: Sampling = Sampling()
    max_calls: int = 5
    insertion: Insertion = "auto"
    shown: Callable[[ToolResult], str] = as_it_is

    async def __call__(
        self, ctx: Context, messages: tuple[Message, ...], *, parents: tuple[Parent, ...] = ()
    ) -> Solution:
        """The whole line, from its prompt to its end."""
        line = await self.begin(ctx, messages, parents=parents)
        while not line.ended:
            line = await self.go_on(ctx, line, await self.act(ctx, line))
        return line.solution

    async def begin(self, ctx: Context, messages: tuple[Message, ...], *, parents: tuple[Parent, ...] = ()) -> Line:
        """Let the model speak up to its first action or its answer."""
        said = await ctx.sample(self.role, messages, sampling=self._sampling(0), parents=parents)
        return self._read(ctx, said, 0, thinking=bool(said.completion.reasoning) and not said.completion.text)

    async def act(self, ctx: Context, line: Line) -> Seen:
        """Run the line's action, or say that there was none to run."""
        if line.action is None:
            ctx.gate("action", "invalid", calls=line.calls + 1, of=self.max_calls, call_id=line.call_id)
            return Seen(line.call_id, self._put(self.grammar.invalid, line.calls + 1), None)
        arguments = json.dumps({self.grammar.argument: line.action}, ensure_ascii=False)
        call = ToolCall(f"{self.grammar.name}-{line.calls + 1}", self.grammar.tool, arguments)
        result = await ctx.use(call, line.call_id)
        ctx.gate("action", "run", calls=line.calls + 1, of=self.max_calls, call_id=line.call_id, status=result.status)
        return Seen(line.call_id, self._put(self.shown(result), line.calls + 1), result)

    async def go_on(self, ctx: Context, line: Line, seen: Seen) -> Line:
        """Let the model read what came of it, and speak up to its next action or its answer."""
        calls = line.calls + 1
        sampling = self._sampling(calls)
        if self._in_thought(ctx):
            closing = self.grammar.action.stop if line.action is not None else ""
            end = f"\n{CLOSE}\n\n" if calls >= self.max_calls and line.thinking else ""
            said = await ctx.resume(self.role, line.said, seen.text + end, closing=closing, sampling=sampling)
            return self._read(ctx, said, calls, thinking=line.thinking and not end)
        parents = (Parent(line.call_id, "continuation"),)
        messages = (*line.said.request.messages, self._turn(line), _user(seen.text))
        said = await ctx.sample(self.role, messages, sampling=sampling, parents=parents)
        return self._read(ctx, said, calls, thinking=False)

    def _put(self, text: str, calls: int) -> str:
        """A text in its marks, and behind it, after the last call, that there are no more."""
        shown = self.grammar.observation(text)
        return shown + self.grammar.last + "\n" if calls >= self.max_calls else shown

    def _sampling(self, calls: int) -> Sampling:
        stop = self.grammar.stop if calls < self.max_calls else self.grammar.stop[1:]
        return replace(self.sampling, stop=stop)

    def _in_thought(self, ctx: Context) -> bool:
        return self.insertion == "thought" or (self.insertion == "auto" and ctx.goes_on_exactly(self.role))

    def _turn(self, line: Line) -> Message:
        """What the model said as a message of its own, closed where a stop string has been left out."""
        message = line.said.completion.message()
        where: Literal["content", "reasoning"] = "content" if line.said.completion.text else "reasoning"
        said = str(message.get(where) or "")
        if line.action is not None and not said.rstrip().endswith(self.grammar.action.stop.strip()):
            message[where] = said + self.grammar.action.stop
        return message

    def _read(self, ctx: Context, said: Utterance, calls: int, *, thinking: bool) -> Line:
        """The line after a call: an action where one comes before an answer, and where calls are left."""
        completion = said.completion
        said_all = "\n".join(part for part in (completion.reasoning, completion.text) if part)
        thinking = (thinking or "<think>" in said_all) and CLOSE not in said_all
        last = calls >= self.max_calls or completion.finish_reason == "length"
        action, final = first_block(self.grammar.action, said_all), None
        if self.grammar.final is not None:
            final = first_block(self.grammar.final, said_all)
        if action and action.content and not last and not (final and final.start < action.start):
            return Line(said, completion.text, action.content, None, calls, thinking, ended=False)
        text = completion.text
        if final is None:
            answer = extract(text, ctx.task["answer_type"]) if self.grammar.spoken else None
        else:
            answer = final.content or None
            text += self.grammar.stop[-1] if not final.closed and completion.finish_reason == "stop" else ""
        return Line(said, text, None, answer, calls, thinking, ended=last or answer is not None)


def _user(text: str) -> Message:
    return {"role": "user", "content": text.strip()}
