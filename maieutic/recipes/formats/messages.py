"""Conversations as trainers read them: what the formats that write messages share."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from maieutic.recipes.items import Dialogue, Episode, Item
from maieutic.recipes.recipe import Tally
from maieutic.trace.record import CallRecord
from maieutic.types import Message, ToolSpec


@dataclass(frozen=True, slots=True)
class Example:
    """One assistant turn to be learnt from, and the conversation before it.

    Where it `continues`, the prompt's last message is the beginning of that turn."""

    prompt: tuple[Message, ...]
    reply: Message
    tools: tuple[ToolSpec, ...] = ()
    continues: bool = False


class Malformed(ValueError):
    """A message has a tool call whose arguments are no JSON object: it can't be shown to a template."""


def examples(item: Item, tally: Tally) -> Iterator[Example]:
    """The turns of an episode or a dialogue that are to be learnt from. Replies that go on with a half are left out of
    an episode, since no template renders a half again; they are counted."""
    if isinstance(item, Episode):
        for call in item.calls:
            if call.request.goes_on:
                tally.counts["continued_replies_left_out"] += 1
            elif call.completion is not None:
                yield Example(call.request.messages, call.completion.message(), call.request.tools)
    elif isinstance(item, Dialogue):
        said = tuple(turn.message for turn in item.turns)
        for i, turn in enumerate(item.turns):
            if turn.learn:
                tools = turn.call.request.tools if turn.call else ()
                yield Example(said[:i], turn.message, tools, turn.continues)


def trainable(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Messages in TRL's shape: arguments as an object, reasoning where chat templates look for it. Raises Malformed."""
    return [_message(message) for message in messages]


def tools_text(tools: tuple[ToolSpec, ...]) -> str:
    """The tools as JSON text, which trainers that read JSON lines take as it is."""
    return json.dumps(functions(tools))


def functions(tools: tuple[ToolSpec, ...]) -> list[dict[str, Any]]:
    """The tools in OpenAI's shape."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools
    ]


def tools_of(call: CallRecord | None) -> tuple[ToolSpec, ...]:
    return call.request.tools if call is not None else ()


def left_out(item: Item, tally: Tally) -> None:
    """Count an item that a format has no rows for."""
    tally.counts[f"{type(item).__name__.lower()}s_left_out"] += 1


def text_of(message: Message) -> str:
    """What a message says, as text; parts that are no text are left out."""
    content = message["content"]
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if part.get("type") == "text")
    return content or ""


def _message(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {key: value for key, value in message.items() if key not in ("reasoning", "tool_calls")}
    if reasoning := message.get("reasoning"):
        fields["reasoning_content"] = reasoning
    if calls := message.get("tool_calls"):
        fields["tool_calls"] = [
            {"type": "function", "function": {**call["function"], "arguments": arguments_of(call["function"])}}
            for call in calls
        ]
    return fields


def arguments_of(function: dict[str, Any]) -> dict[str, Any]:
    """A call's arguments as an object. Raises Malformed."""
    try:
        arguments = json.loads(function["arguments"] or "{}")
    except ValueError as error:
        raise Malformed("arguments are not JSON") from error
    if not isinstance(arguments, dict):
        raise Malformed("arguments are not an object")
    return arguments
