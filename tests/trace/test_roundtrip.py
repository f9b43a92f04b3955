"""What is written is what is read: values, differences and their size."""

import math
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.errors import TraceError
from maieutic.trace.codec import RunDecoder, RunEncoder
from maieutic.trace.payload import dump, parse
from maieutic.trace.prefix import PrefixTree, pack, unpack
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import CallRecord, Parent, RunRecord
from maieutic.trace.writer import TraceStore
from maieutic.types import Completion, Message, Request, Sampling, ToolCall, ToolSpec, Usage
from tests.trace.builders import call, header

texts = st.text(st.characters(), max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(texts, json_values, max_size=3)
ids = st.lists(st.integers(0, 3) | st.integers(0, 2**32 - 1), max_size=8).map(tuple)
logprobs = st.lists(st.floats(width=32, max_value=0.0, allow_nan=False), max_size=5).map(tuple)
halves = st.floats(-9999, 0).map(lambda value: round(value * 2) / 2)  # are the same as 32-bit floats
tops = st.lists(st.lists(st.tuples(texts, halves), max_size=2).map(tuple), max_size=3).map(tuple)
messages = st.builds(
    lambda role, content, extra: {"role": role, "content": content, **extra},
    st.sampled_from(["system", "user", "assistant", "tool"]),
    texts | st.none() | st.lists(objects, max_size=2),
    st.just({}) | st.fixed_dictionaries({"name": texts}) | st.fixed_dictionaries({"tool_calls": st.lists(objects)}),
)
completions = st.builds(
    Completion,
    text=texts,
    tool_calls=st.lists(st.builds(ToolCall, texts, texts, texts), max_size=2).map(tuple),
    reasoning=st.none() | texts,
    finish_reason=st.none() | texts,
    prompt_token_ids=st.none() | ids,
    token_ids=st.none() | ids,
    logprobs=st.none() | logprobs,
    top_logprobs=st.none() | tops,
    usage=st.builds(
        Usage, st.integers(0), st.integers(0), st.integers(0), st.integers(0), st.none() | numbers, numbers
    ),
    model=texts,
    weights=st.none() | texts,
    template=st.none() | texts,
    extra=objects,
)
requests = st.builds(
    Request,
    messages=st.lists(messages, max_size=4).map(tuple),
    sampling=st.builds(Sampling, temperature=st.none() | numbers, stop=st.lists(texts).map(tuple), extra=objects),
    tools=st.lists(st.builds(ToolSpec, texts, texts, objects), max_size=2).map(tuple),
    continue_final=st.booleans(),
    schema=st.none() | objects,
    prompt_ids=st.none() | ids,
    tool_choice=st.none() | st.sampled_from(["auto", "none", "required"]),
)
records = st.builds(
    CallRecord,
    run_id=st.just("run"),
    call_id=st.just("call"),
    model=texts,
    request=requests,
    completion=st.none() | completions,
    t0=numbers,
    t1=numbers,
    parents=st.lists(st.builds(Parent, texts, st.sampled_from(["continuation", "debate"])), max_size=2).map(tuple),
    node=texts,
    role=texts,
    branch=texts,
    turn=st.integers(0, 9),
    gold_in_context=st.booleans(),
    error=st.none() | texts,
    cancelled=st.booleans(),
)


def float32(value: float) -> bytes:
    return struct.pack("f", value)


@settings(max_examples=50, deadline=None)
@given(st.lists(records, max_size=6))
def test_calls_come_back_as_they_were(calls: list[CallRecord]) -> None:
    calls = [replace(record, call_id=str(i)) for i, record in enumerate(calls)]
    encoder, decoder = RunEncoder(), RunDecoder()
    for before in calls:
        after = decoder.call(parse(encoder.call(before)))
        if before.completion and before.completion.logprobs:
            assert after.completion and after.completion.logprobs
            assert list(map(float32, after.completion.logprobs)) == list(map(float32, before.completion.logprobs))
            after = replace(after, completion=replace(after.completion, logprobs=before.completion.logprobs))
        assert after == before


def test_a_prompt_of_ids_is_written_once_where_the_model_saw_what_was_sent() -> None:
    encoder, decoder = RunEncoder(), RunDecoder()
    first = call("run", "c1", (1, 2, 3), (4, 5))
    second = call("run", "c2", (1, 2, 3, 4, 5, 6), (7,))
    second = replace(second, request=replace(second.request, prompt_ids=(1, 2, 3, 4, 5, 6)))
    failed = replace(second, call_id="c3", completion=None, error="down")
    other = replace(second, call_id="c4", request=replace(second.request, prompt_ids=(1, 2, 9)))
    assert first.completion  # its server says that the model saw other ids than were sent
    other = replace(other, completion=replace(first.completion, prompt_token_ids=(1, 2, 9, 8)))
    lines = [parse(encoder.call(record)) for record in (first, second, failed, other)]
    assert "raw" not in lines[0] and lines[1]["raw"] is True
    assert lines[1]["prompt"]["ids"] == [6] and (lines[2]["raw"]["base"], lines[2]["raw"]["ids"]) == ("c2", [])
    assert (lines[3]["raw"]["base"], lines[3]["raw"]["keep"]) == ("c4", 3)
    assert [decoder.call(line) for line in lines] == [first, second, failed, other]


def test_a_trace_without_the_newer_fields_is_read() -> None:
    line = parse(RunEncoder().call(call("run", "c1")))
    for name in ("schema", "tool_choice", "raw"):
        assert name not in line
    del line["sampling"]["top_logprobs"]
    line["completion"].pop("top_logprobs", None)
    assert RunDecoder().call(line) == call("run", "c1")


def test_infinite_log_probabilities_survive() -> None:
    record = call("run", "c1")
    assert record.completion
    record = replace(record, completion=replace(record.completion, logprobs=(-math.inf, -0.1)))
    assert record.completion
    record = replace(record, completion=replace(record.completion, top_logprobs=((("4", -0.5), ("5", -math.inf)),)))
    back = RunDecoder().call(parse(RunEncoder().call(record)))
    assert back.completion and back.completion.logprobs == (-math.inf, -0.1)
    assert back.completion.top_logprobs == ((("4", -0.5), ("5", -math.inf)),)


def test_nan_in_unknown_fields_becomes_null_and_huge_integers_stay() -> None:
    assert parse(dump({"a": [math.nan, 2**70, "\ud800"], "b": Usage(calls=1)})) == {
        "a": [None, 2**70, "\ud800"],
        "b": {
            "calls": 1,
            "prompt_tokens": 0,
            "completion_tokens": 0,
            "cached_tokens": 0,
            "cost": None,
            "seconds": 0.0,
        },
    }


def test_huge_integers_stay_integers_without_any_other_oddity() -> None:
    for value in (2**63, 2**64, -(2**63) - 1, -(10**36)):
        back = parse(dump({"a": [value]}))["a"][0]
        assert (back, type(back)) == (value, int)


def test_what_json_cannot_say_is_refused_where_it_is_written(tmp_path: Path) -> None:
    with TraceStore(tmp_path) as store:
        run = store.open_run(header("r1"))
        with pytest.raises(TraceError, match="set is not a JSON value"):
            run.write("note", value={1, 2})
        with pytest.raises(TraceError, match="Token ids must be integers"):
            run.call(call("r1", "c1", prompt=(-1,)))


@given(st.lists(st.lists(st.integers(0, 2), max_size=7), max_size=8), st.lists(st.integers(0, 2), max_size=9))
def test_the_tree_finds_the_longest_prefix(known: list[list[int]], wanted: list[int]) -> None:
    tree = PrefixTree()
    for number, sequence in enumerate(known):
        tree.add(pack(sequence), str(number))

    def shared(sequence: list[int]) -> int:
        return next(
            (i for i, (a, b) in enumerate(zip(sequence, wanted, strict=False)) if a != b), len(wanted[: len(sequence)])
        )

    owner, length = tree.find(pack(wanted))
    assert length == max(map(shared, known), default=0)
    assert (owner is None) == (length == 0)
    assert owner is None or shared(known[int(owner)]) >= length
    assert unpack(pack(wanted)) == tuple(wanted)


def conversation(turns: int, store: TraceStore, run_id: str) -> list[CallRecord]:
    """Every turn repeats the whole past, ids and messages, as a chat does."""
    run = store.open_run(header(run_id))
    history: tuple[Message, ...] = ({"role": "system", "content": "Work it out. " * 20},)
    prompt: tuple[int, ...] = tuple(range(100))
    calls = []
    for turn in range(turns):
        history = (*history, {"role": "user", "content": f"And then, in turn {turn}?"})
        prompt = (*prompt, 7, turn)
        sampled = tuple(range(turn, turn + 30))
        record = call(run_id, f"c{turn}", prompt, sampled, history, f"Answer {turn}. " * 5)
        calls.append(record)
        run.call(record)
        assert record.completion
        history, prompt = (*history, record.completion.message()), prompt + sampled
    run.finish()
    return calls


def test_a_conversation_grows_linearly_on_disk(tmp_path: Path) -> None:
    sizes = {}
    for turns in (50, 100, 200):
        with TraceStore(tmp_path / str(turns)) as store:
            calls = conversation(turns, store, "r1")
        with TraceReader(tmp_path / str(turns)) as reader:
            assert reader.run("r1").calls == tuple(calls)
            sizes[turns] = sum(length for _, _, length in reader._index.spans("r1"))
    assert sizes[200] - sizes[100] == pytest.approx(2 * (sizes[100] - sizes[50]), rel=0.05)


def test_parallel_samples_share_their_prompt(tmp_path: Path) -> None:
    encoder = RunEncoder()
    prompt = tuple(range(5000))
    lengths = [len(encoder.call(call("r", f"c{i}", prompt, (i, i + 1)))) for i in range(64)]
    assert lengths[0] > 5 * max(lengths[1:])


def test_events_header_and_finish_come_back(tmp_path: Path) -> None:
    start = header("r1", task={"question": "2+2?"}, tools=("python",), seed=3, group_id="g", oracle=True)
    with TraceStore(tmp_path) as store:
        run = store.open_run(start)
        run.write("tool_result", call_id="c1", kind="python", meta={"tier": "bubblewrap"})
        run.write("vote", counts={"4": 3})
        run.finish(answer="4", outcome="correct", score=1.0, partial=False, usage=Usage(2, 30, 10))
    with TraceReader(tmp_path) as reader:
        record = reader.run("r1")
        (summary,) = reader.runs(outcome="correct", graph="direct", oracle=True)
    assert record.header == start
    assert [event.kind for event in record.events] == ["tool_result", "vote"]
    assert record.events_of("vote")[0].fields == {"counts": {"4": 3}}
    assert record.finish and record.finish.fields["answer"] == "4"
    assert (summary.score, summary.partial, summary.prompt_tokens, summary.completion_tokens) == (1.0, False, 30, 10)
    assert summary.finished == record.finish.time


def test_a_changed_prompt_is_noticed() -> None:
    encoder, decoder = RunEncoder(), RunDecoder()
    line = parse(encoder.call(call("r1", "c1", prompt=(1, 2, 3))))
    line["prompt"]["ids"][1] = 9
    with pytest.raises(TraceError, match="Call c1 of run r1 can't be rebuilt.*do not match their digest"):
        decoder.call(line)


def test_a_finished_run_takes_nothing_and_holds_nothing(tmp_path: Path) -> None:
    with TraceStore(tmp_path) as store:
        run = store.open_run(header("r1"))
        run.call(call("r1", "c1"))
        with pytest.raises(TraceError, match="already being recorded"):
            store.open_run(header("r1"))
        with pytest.raises(TraceError, match="can't be recorded in run r1"):
            run.call(call("r2", "c1"))
        with pytest.raises(TraceError, match="no events of kind 'guess'"):
            run.write("guess")
        run.finish()
        with pytest.raises(TraceError, match="finished"):
            run.call(call("r1", "c2"))
        assert run._encoder is None and not store._open
    assert isinstance(TraceReader(tmp_path).run("r1"), RunRecord)
