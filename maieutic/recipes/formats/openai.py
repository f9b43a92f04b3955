"""`openai`: conversations in the shape of OpenAI's fine-tuning files, with a weight of 0 for turns not to be learnt."""

from collections.abc import Iterable, Iterator
from typing import Any

from maieutic.recipes.formats.messages import examples, functions, left_out
from maieutic.recipes.items import Dialogue, Episode, Item
from maieutic.recipes.recipe import Row, Tally, row_format
from maieutic.types import Message

_KNOWN = ("role", "content", "name", "tool_calls", "tool_call_id")


@row_format("openai")
def openai(items: Iterable[Item], tally: Tally) -> Iterator[Row]:
    """A dialogue is one row; an episode a row a call, since its earlier turns may not stand in later prompts."""
    for item in items:
        if isinstance(item, Dialogue):
            turns = [_weighed(turn.message, turn.learn) for turn in item.turns]
            if any(turn.learn for turn in item.turns):
                tally.counts["turns_rendered_anew"] += sum(turn.learn for turn in item.turns)
                yield {"messages": turns}
        elif isinstance(item, Episode):
            for example in examples(item, tally):
                said = [_weighed(message, False) for message in example.prompt]
                row: Row = {"messages": [*said, _weighed(example.reply, True)]}
                if example.tools:
                    row["tools"] = functions(example.tools)
                tally.counts["turns_rendered_anew"] += 1
                yield row
        else:
            left_out(item, tally)


def _weighed(message: Message, learn: bool) -> dict[str, Any]:
    fields = {key: value for key, value in message.items() if key in _KNOWN}
    return {**fields, "weight": int(learn)} if message["role"] == "assistant" else fields
