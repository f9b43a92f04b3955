"""`trl-kto`: rows for TRL's KTOTrainer: a reply and whether it is wanted; a pair gives one of each."""

from collections.abc import Iterable, Iterator

from maieutic.recipes.formats.messages import Malformed, left_out, tools_of, tools_text, trainable
from maieutic.recipes.items import Item, Judged, Pair
from maieutic.recipes.recipe import Row, Tally, row_format


@row_format("trl-kto")
def trl_kto(items: Iterable[Item], tally: Tally) -> Iterator[Row]:
    for item in items:
        for judged in _judgements(item, tally):
            try:
                row: Row = {
                    "prompt": trainable(judged.prompt),
                    "completion": trainable((judged.reply.message,)),
                    "label": judged.good,
                }
            except Malformed:
                tally.counts["malformed_tool_calls_left_out"] += 1
                continue
            if tools := tools_of(judged.reply.call):
                row["tools"] = tools_text(tools)
            tally.counts["turns_rendered_anew"] += 1
            tally.counts["wanted" if judged.good else "unwanted"] += 1
            yield row


def _judgements(item: Item, tally: Tally) -> tuple[Judged, ...]:
    if isinstance(item, Judged):
        return (item,)
    if isinstance(item, Pair):
        sides = ((item.chosen, True), (item.rejected, False))
        return tuple(Judged(item.prompt, reply, good, item.runs, item.meta) for reply, good in sides)
    left_out(item, tally)
    return ()
