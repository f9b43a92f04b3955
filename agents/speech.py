"""How every role speaks: think, act on tool calls, think again, until a final reply."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, TypeVar

from maieutic.agents.images import content_of
from maieutic.context import Context, Proposal, Utterance
from maieutic.tasks.answers import extract
from maieutic.tools.tool import Tool
from maieutic.trace.record import Parent
from maieutic.types import Completion, Message, Sampling, ToolCall, ToolChoice, ToolResult

T = TypeVar("T")
MAX_TURNS = 8


@dataclass(frozen=True, slots=True)
class Solution:
    """A worked answer: its text, the answer read from it (None where none could be read), and the call it ended in.

    `messages` is the conversation up to and including it, empty where it is not known; `logprobs` are those of the
    tokens that were sampled for it, tool calls included, None where they are not known.
    """

    text: str
    answer: str | None
    call_id: str
    messages: tuple[Message, ...] = ()
    logprobs: tuple[float, ...] | None = None

    @property
    def proposal(self) -> Proposal:
        return Proposal(self.answer, self.text, self.call_id)


async def act(ctx: Context, said: Utterance, role: str = "solver") -> tuple[Message, ...]:
    """Run all tool calls of `said`, side by side, and return the conversation with their results appended: texts, and
    images too where the model of `role` can see them."""
    results = await use_all(ctx, said.completion.tool_calls, said.call_id)
    vision = ctx.model_for(role).profile.vision
    replies: list[Message] = [
        {"role": "tool", "tool_call_id": r.call_id, "name": r.name, "content": content_of(r, vision)} for r in results
    ]
    return (*said.messages, *replies)


async def use_all(ctx: Context, calls: Sequence[ToolCall], parent: str) -> list[ToolResult]:
    """Run tool calls of the model call `parent` side by side; their results in the same order."""
    return await side_by_side(*(ctx.use(call, parent) for call in calls))


async def side_by_side(*work: Coroutine[Any, Any, T]) -> list[T]:
    """What several awaitables that need nothing of each other come to, in their order. They begin in that order too, so
    that calls of one branch have the same turns, and thus seeds, in every run. The first failure is raised as it is,
    and ends the others."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def converse(
    ctx: Context,
    role: str,
    messages: tuple[Message, ...],
    *,
    tools: tuple[Tool, ...] = (),
    sampling: Sampling = Sampling(),
    parents: tuple[Parent, ...] = (),
    max_turns: int = MAX_TURNS,
) -> Utterance:
    """Let `role` speak and use tools until it replies without a tool call; in the last turn it may not call any.

    It is still told of them: without them the prompt would be another one, and no server's cache would know it.
    """
    if max_turns == 1:
        tools = ()
    acted: list[Completion] = []
    for turn in range(max_turns):
        last = turn == max_turns - 1
        choice: ToolChoice | None = "none" if last else None
        said = await ctx.sample(role, messages, tools=tools, tool_choice=choice, sampling=sampling, parents=parents)
        if last or not said.completion.tool_calls:
            return replace(said, acted=tuple(acted)) if acted else said
        acted.append(said.completion)
        messages = await act(ctx, said, role)
        parents = (Parent(said.call_id, "continuation"),)
    raise AssertionError("max_turns is at least 1")


def fitted(agent: Any, **fields: Any) -> Any:
    """The same agent with those of the `fields` that it has; an own one keeps what it can't be told."""
    if not is_dataclass(agent) or isinstance(agent, type):
        return agent
    return replace(agent, **{name: value for name, value in fields.items() if hasattr(agent, name)})


def read_solution(ctx: Context, said: Utterance) -> Solution:
    """The solution that an utterance ends in, its answer read by the task's type."""
    answer = extract(said.text, ctx.task["answer_type"])
    return Solution(said.text, answer, said.call_id, said.messages, said.logprobs)
