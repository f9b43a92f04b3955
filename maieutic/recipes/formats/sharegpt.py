"""`sharegpt`: conversations as LLaMA-Factory reads them: from, value, and function calls as turns of their own.

A person or a tool speaks at odd places, the model at even ones; a pair has its two last messages beside the
conversation. A turn with both text and a call has no form there: it is left out and counted.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from maieutic.recipes.formats.messages import Malformed, arguments_of, examples, functions, left_out, text_of, tools_of
from maieutic.recipes.items import Dialogue, Episode, Item, Pair
from maieutic.recipes.recipe import Row, Tally, row_format
from maieutic.types import Message, ToolSpec

_ODD, _EVEN = ("human", "observation"), ("gpt", "function_call")


@row_format("sharegpt")
def sharegpt(items: Iterable[Item], tally: Tally) -> Iterator[Row]:
    for item in items:
        try:
            yield from _rows(item, tally)
        except Malformed as error:
            tally.counts[f"left_out: {error}"] += 1


def _rows(item: Item, tally: Tally) -> Iterator[Row]:
    if isinstance(item, Pair):
        sides = {"chosen": _one(item.chosen.message), "rejected": _one(item.rejected.message)}
        row = {**_conversation(item.prompt, tools_of(item.chosen.call), ends_even=False), **sides}
        tally.counts["turns_rendered_anew"] += 2
        yield row
    elif isinstance(item, Episode | Dialogue):
        for example in examples(item, tally):
            row = _conversation((*example.prompt, example.reply), example.tools, ends_even=True)
            tally.counts["turns_rendered_anew"] += 1
            yield row
    else:
        left_out(item, tally)


def _conversation(messages: tuple[Message, ...], tools: tuple[ToolSpec, ...], ends_even: bool) -> Row:
    system = "\n\n".join(text_of(message) for message in messages if message["role"] == "system")
    turns = [_one(message) for message in messages if message["role"] != "system"]
    kinds = [turn["from"] for turn in turns]
    if any(kind not in (_EVEN if place % 2 else _ODD) for place, kind in enumerate(kinds)):
        raise Malformed("turns that don't alternate")
    if (len(turns) % 2 == 0) is not ends_even:
        raise Malformed("turns that don't alternate")
    row: Row = {"conversations": turns, "system": system}
    if tools:
        row["tools"] = json.dumps([entry["function"] for entry in functions(tools)], ensure_ascii=False)
    return row


def _one(message: Message) -> dict[str, Any]:
    calls = message.get("tool_calls") or []
    if calls and (len(calls) > 1 or text_of(message).strip()):
        raise Malformed("a turn with text and a call, or with several calls")
    if calls:
        function = calls[0]["function"]
        said = {"name": function["name"], "arguments": arguments_of(function)}
        return {"from": "function_call", "value": json.dumps(said, ensure_ascii=False)}
    role = {"user": "human", "assistant": "gpt", "tool": "observation", "system": "system"}[message["role"]]
    return {"from": role, "value": text_of(message)}
