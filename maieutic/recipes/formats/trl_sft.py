"""`trl-sft`: rows that TRL's SFTTrainer loads as they are, and that train on nothing but what the model itself said.

With token ids, rows are `input_ids` and `labels`: what was sampled is labelled, everything else (prompts, tool output,
template text) is -100, and nothing is tokenised again. Without ids, every call is a `prompt`/`completion` pair, because
in a multi-turn `messages` row TRL would also train on the tools' output.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from maieutic.recipes.items import Episode, Item
from maieutic.recipes.recipe import Row, Tally, row_format
from maieutic.trace.record import CallRecord
from maieutic.types import Message

MASKED = -100


@row_format("trl-sft")
def trl_sft(items: Iterable[Item], tally: Tally) -> Iterator[Row]:
    """One shape for the whole file: the first episode's, since the columns differ.

    An episode without ids in a file that has them is dropped and counted.
    """
    rest = (item for item in items if isinstance(item, Episode))
    first = next(rest, None)
    if first is None:
        return
    tokenized = has_ids(first)
    for episode in chain([first], rest):
        if tokenized and not has_ids(episode):
            tally.kept -= 1
            tally.dropped["no token ids, unlike the first run"] += 1
            continue
        for call in episode.calls:
            tally.weights[_weights(call)] += 1
        yield from token_rows(episode, tally) if tokenized else chat_rows(episode, tally)


def has_ids(episode: Episode) -> bool:
    return all(
        call.completion and call.completion.prompt_token_ids is not None and call.completion.token_ids
        for call in episode.calls
    )


def token_rows(episode: Episode, tally: Tally) -> Iterator[Row]:
    """A row for each stretch of calls whose prompts continue the ids before them exactly.

    Where a later prompt differs from what was sampled (a template that drops reasoning, for instance) a new row
    begins, and the earlier text in its prompt is masked.
    """
    rows: list[tuple[list[int], list[int]]] = []
    for call in episode.calls:
        assert call.completion and call.completion.prompt_token_ids is not None
        prompt, sampled = list(call.completion.prompt_token_ids), list(call.completion.token_ids or ())
        row = next((row for row in rows if prompt[: len(row[0])] == row[0]), None)
        if row is None:
            tally.counts["prefix_breaks"] += bool(rows)
            row = ([], [])
            rows.append(row)
        ids, labels = row
        labels += [MASKED] * (len(prompt) - len(ids)) + sampled
        ids[:] = prompt + sampled
    for ids, labels in rows:
        tally.counts["tokens"] += len(ids)
        tally.counts["trained_tokens"] += sum(label != MASKED for label in labels)
        yield {"input_ids": ids, "labels": labels}


def chat_rows(episode: Episode, tally: Tally) -> Iterator[Row]:
    """A row for each call: its conversation as `prompt`, its reply as `completion`, its `tools` as JSON text."""
    for call in episode.calls:
        assert call.completion
        if call.request.goes_on:  # half of the reply stands in the prompt: no template renders that again
            tally.counts["continued_replies_left_out"] += 1
            continue
        try:
            row: Row = {
                "prompt": [_message(message) for message in call.request.messages],
                "completion": [_message(call.completion.message())],
            }
        except ValueError:
            tally.counts["malformed_tool_calls_left_out"] += 1
            continue
        if call.request.tools:
            row["tools"] = json.dumps([_tool(tool) for tool in call.request.tools])
        yield row


def _message(message: Message) -> dict[str, Any]:
    """TRL's shape: arguments as an object, reasoning where chat templates look for it."""
    fields: dict[str, Any] = {key: value for key, value in message.items() if key not in ("reasoning", "tool_calls")}
    if reasoning := message.get("reasoning"):
        fields["reasoning_content"] = reasoning
    if calls := message.get("tool_calls"):
        fields["tool_calls"] = [
            {"type": "function", "function": {**call["function"], "arguments": _arguments(call["function"])}}
            for call in calls
        ]
    return fields


def _arguments(function: dict[str, Any]) -> dict[str, Any]:
    arguments = json.loads(function["arguments"] or "{}")
    if not isinstance(arguments, dict):
        raise ValueError("arguments are not an object")
    return arguments


def _tool(tool: Any) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _weights(call: CallRecord) -> str:
    return (call.completion.weights if call.completion else None) or "unknown"
