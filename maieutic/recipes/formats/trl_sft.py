"""`trl-sft`: rows that TRL's SFTTrainer loads as they are, and that train on nothing but what the model itself said.

With token ids, rows are `input_ids` and `labels`: what was sampled is labelled, everything else (prompts, tool output,
template text) is -100, and nothing is tokenised again. Without ids, every learnt turn is a `prompt`/`completion` pair,
because in a multi-turn `messages` row TRL would also train on the tools' output.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from maieutic.recipes.formats.messages import Malformed, examples, left_out, tools_text, trainable
from maieutic.recipes.formats.tokens import OneTokenizer, has_ids
from maieutic.recipes.items import Dialogue, Episode, Item
from maieutic.recipes.recipe import Row, Tally, row_format
from maieutic.trace.record import CallRecord

MASKED = -100


@row_format("trl-sft")
def trl_sft(items: Iterable[Item], tally: Tally) -> Iterator[Row]:
    """One shape for the whole file: the first item's, since the columns differ.

    In a file of ids, an item without ids is dropped and counted, and so is one whose ids may be another tokenizer's.
    """
    rest = _learnable(items, tally)
    first = next(rest, None)
    if first is None:
        return
    tokenized, tokens = _calls(first) is not None, OneTokenizer()
    for item in chain([first], rest):
        calls = _calls(item) if tokenized else None
        if tokenized and calls is None:
            tally.kept -= 1
            tally.dropped["no token ids, unlike the first run"] += 1
            continue
        if calls is not None and not tokens.same(calls):
            tally.kept -= 1
            tally.dropped["of another tokenizer than the first run, or of an unknown one"] += 1
            continue
        for call in calls or (item.calls if isinstance(item, Episode) else ()):
            tally.weights[_weights(call)] += 1
        yield from token_rows(calls, tally) if calls is not None else chat_rows(item, tally)


def _learnable(items: Iterable[Item], tally: Tally) -> Iterator[Episode | Dialogue]:
    for item in items:
        if isinstance(item, Episode | Dialogue):
            yield item
        else:
            left_out(item, tally)


def _calls(item: Episode | Dialogue) -> tuple[CallRecord, ...] | None:
    """The recorded calls that an item is made of, where all it teaches is what they said and their ids are known.

    A dialogue that a recipe has put together has other prompts than its calls had, unless it quotes them whole.
    """
    calls = item.calls if isinstance(item, Episode) else _quoted(item)
    if calls is None or not all(has_ids(call) for call in calls):
        return None
    return calls


def _quoted(item: Dialogue) -> tuple[CallRecord, ...] | None:
    said = tuple(turn.message for turn in item.turns)
    calls = []
    for i, turn in enumerate(item.turns):
        if turn.learn:
            if turn.call is None or turn.call.request.goes_on or turn.call.request.messages != said[:i]:
                return None
            calls.append(turn.call)
    return tuple(calls) or None


def token_rows(calls: tuple[CallRecord, ...], tally: Tally) -> Iterator[Row]:
    """A row for each stretch of calls whose prompts continue the ids before them exactly.

    Where a later prompt differs from what was sampled (a template that drops reasoning, for instance) a new row
    begins, and the earlier text in its prompt is masked. A row's last token is masked where its call could stop at
    white space, such as a line's end: it may have ended there in place of its turn, which is not to be learnt. What
    else a call stops at (a closing tag) is a part of what is to be said.
    """
    stretches: list[_Stretch] = []
    for call in calls:
        assert call.completion and call.completion.prompt_token_ids is not None
        prompt, sampled = list(call.completion.prompt_token_ids), list(call.completion.token_ids or ())
        stretch = next((one for one in stretches if prompt[: len(one.ids)] == one.ids), None)
        if stretch is None:
            tally.counts["prefix_breaks"] += bool(stretches)
            stretch = _Stretch()
            stretches.append(stretch)
        stretch.labels += [MASKED] * (len(prompt) - len(stretch.ids)) + sampled
        stretch.ids = prompt + sampled
        stretch.stops = any(stop.isspace() for stop in call.request.sampling.stop)
    for stretch in stretches:
        if stretch.stops:
            stretch.labels[-1] = MASKED
        tally.counts["tokens"] += len(stretch.ids)
        tally.counts["trained_tokens"] += sum(label != MASKED for label in stretch.labels)
        yield {"input_ids": stretch.ids, "labels": stretch.labels}


@dataclass(slots=True)
class _Stretch:
    """A row under way; `stops` says whether its last call could stop at white space."""

    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    stops: bool = False


def chat_rows(item: Episode | Dialogue, tally: Tally) -> Iterator[Row]:
    """A row for each learnt turn: its conversation as `prompt`, its reply as `completion`, its `tools` as JSON text.

    The trainer renders and tokenises it, and may come to other tokens than were sampled: `turns_rendered_anew` counts.
    A completion that goes on in the prompt's last message is marked by `continues`, as `maieutic improve` reads it; TRL
    by itself shows it as a message of its own: `turns_that_continue` counts.
    """
    for example in examples(item, tally):
        try:
            row: Row = {"prompt": trainable(example.prompt), "completion": trainable((example.reply,))}
        except Malformed:
            tally.counts["malformed_tool_calls_left_out"] += 1
            continue
        if example.tools:
            row["tools"] = tools_text(example.tools)
        if example.continues:
            row["continues"] = True
            tally.counts["turns_that_continue"] += 1
        tally.counts["turns_rendered_anew"] += 1
        yield row


def _weights(call: CallRecord) -> str:
    return (call.completion.weights if call.completion else None) or "unknown"
