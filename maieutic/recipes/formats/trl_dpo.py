"""`trl-dpo`: preference rows for TRL's DPOTrainer and RewardTrainer, a single assistant turn on each side.

TRL's DPO has no mask: whatever stands in `chosen` and `rejected` is in the loss. So a pair holds one turn each, after
the conversation up to the point where the two part.

Where both sides were sampled after the very same ids, `token_ids` has them: `prompt`, `chosen` and `rejected`. TRL
tokenises anew and ignores that column, as it does `unfinished`; `maieutic improve` trains by both.
"""

from collections.abc import Iterable, Iterator

from maieutic.recipes.formats.messages import Malformed, left_out, tools_of, tools_text, trainable
from maieutic.recipes.formats.tokens import OneTokenizer, has_ids
from maieutic.recipes.items import Item, Pair, Reply
from maieutic.recipes.recipe import Row, Tally, row_format


@row_format("trl-dpo")
def trl_dpo(items: Iterable[Item], tally: Tally) -> Iterator[Row]:
    tokens = OneTokenizer()
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
        if item.unfinished:
            row["unfinished"] = True
        if ids := _ids(item, tokens):
            row["token_ids"] = ids
        else:
            tally.counts["turns_rendered_anew"] += 2
        tally.counts[f"pairs_{item.kind}"] += 1
        yield row


def _ids(pair: Pair, tokens: OneTokenizer) -> dict[str, list[int]] | None:
    """The ids of a pair whose sides are whole recorded replies to its prompt, to the same ids; None where they are
    not."""
    calls = [side.call for side in (pair.chosen, pair.rejected) if side.call is not None and _quoted(side, pair)]
    if len(calls) < 2 or pair.unfinished:
        return None
    chosen, rejected = (call.completion for call in calls)
    if chosen is None or rejected is None or chosen.prompt_token_ids != rejected.prompt_token_ids:
        return None
    if not tokens.same(calls):
        return None
    sides = {"prompt": chosen.prompt_token_ids, "chosen": chosen.token_ids, "rejected": rejected.token_ids}
    return {name: list(ids or ()) for name, ids in sides.items()}


def _quoted(side: Reply, pair: Pair) -> bool:
    """Whether a side is what its call said, in answer to what the pair shows."""
    call = side.call
    if call is None or call.completion is None or not has_ids(call):
        return False
    return call.request.messages == pair.prompt and call.completion.message() == side.message
