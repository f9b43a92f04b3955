"""`trl-dpo`: preference rows for TRL's DPOTrainer and RewardTrainer, a single assistant turn on each side.

TRL's DPO has no mask: whatever stands in `chosen` and `rejected` is in the loss. So a pair holds one turn each, after
the conversation up to the point where the two part.
"""

from collections.abc import Iterable, Iterator

from maieutic.recipes.formats.messages import Malformed, left_out, tools_of, tools_text, trainable
from maieutic.recipes.items import Item, Pair
from maieutic.recipes.recipe import Row, Tally, row_format


@row_format("trl-dpo")
def trl_dpo(items: Iterable[Item], tally: Tally) -> Iterator[Row]:
    for item in items:
        if not isinstance(item, Pair):
            left_out(item, tally)
            continue
        try:
            row: Row = {
                "prompt": trainable(item.prompt),
                "chosen": trainable((item.chosen.message,)),
                "rejected": trainable((item.rejected.message,)),
            }
        except Malformed:
            tally.counts["malformed_tool_calls_left_out"] += 1
            continue
        if tools := tools_of(item.chosen.call):
            row["tools"] = tools_text(tools)
        tally.counts[f"pairs_{item.kind}"] += 1
        tally.counts["turns_rendered_anew"] += 2
        yield row
