"""`plain`: every item as it is, its kind named: for plans, spans, labels and whatever else has no trainer's form."""

from collections.abc import Iterable, Iterator
from typing import Any

from maieutic.recipes.items import Ask, Dialogue, Episode, Item, Judged, Pair, Prompt, Reply, Spans, Turn
from maieutic.recipes.recipe import Row, Tally, row_format


@row_format("plain")
def plain(items: Iterable[Item], tally: Tally) -> Iterator[Row]:
    for item in items:
        yield {"kind": type(item).__name__.lower(), **_fields(item), "meta": item.meta}


def _fields(item: Item) -> dict[str, Any]:
    match item:
        case Episode():
            calls = [
                {"call": c.call_id, "role": c.role, "messages": c.request.messages, "reply": c.completion.message()}
                for c in item.calls
                if c.completion is not None
            ]
            return {"runs": [item.run.header.run_id], "calls": calls}
        case Dialogue():
            turns = [_turn(turn) for turn in item.turns]
            return {"runs": item.runs, "turns": turns}
        case Pair():
            sides = {"chosen": _reply(item.chosen), "rejected": _reply(item.rejected)}
            return {"runs": item.runs, "prompt": item.prompt, **sides, "pair": item.kind}
        case Judged():
            return {"runs": item.runs, "prompt": item.prompt, "reply": _reply(item.reply), "good": item.good}
        case Prompt():
            return {"runs": item.runs, "prompt": item.messages, "task": item.task}
        case Spans():
            return {"runs": item.runs, "prompt": item.prompt, "reply": _reply(item.reply), "spans": item.spans}
        case Ask():
            return {"runs": item.runs, "id": item.id, "question": item.question, "who": item.who}


def _turn(turn: Turn) -> dict[str, Any]:
    continues = {"continues": True} if turn.continues else {}
    return {**turn.message, "learn": turn.learn, "author": turn.author, **continues}


def _reply(reply: Reply) -> dict[str, Any]:
    return dict(reply.message)
