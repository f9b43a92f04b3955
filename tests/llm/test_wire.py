import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maieutic.errors import ModelError
from maieutic.llm.profile import Price, SamplingDefaults
from maieutic.llm.server.stream import EventParser, StreamJoiner
from maieutic.llm.server.wire import decode_json, encode_json, read_completion, request_body
from maieutic.types import Delta, Request, Sampling, ToolCall, ToolSpec

EVENTS = [b'{"a": 1}', '{"b": "\u00fc"}'.encode(), b"[DONE]"]


def answer(message: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **fields}


@given(st.sets(st.integers(1, 60)), st.sampled_from([b"\n", b"\r\n"]))
def test_events_do_not_depend_on_how_the_bytes_were_cut(cuts: set[int], end: bytes) -> None:
    stream = b": comment" + end + end + b"".join(b"data: " + event + end + end for event in EVENTS)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    parser = EventParser()
    found = [e for start, stop in zip(edges, edges[1:], strict=False) for e in parser.feed(stream[start:stop])]
    assert found == EVENTS
    assert parser.flush() == []


def test_data_lines_of_one_event_are_joined_and_an_open_event_is_flushed() -> None:
    parser = EventParser()
    assert parser.feed(b"event: x\ndata:1\ndata: 2\n\ndata: 3") == [b"1\n2"]
    assert parser.flush() == [b"3"]


def test_a_request_says_only_what_was_asked() -> None:
    request = Request(({"role": "user", "content": "hi"},), Sampling(logprobs=False))
    assert request_body(request, "m", stream=False, token_ids=False) == {"model": "m", "messages": request.messages}


def test_a_request_says_everything_that_was_asked() -> None:
    sampling = Sampling(0.0, 0.9, 20, 100, ("END",), 7, extra={"min_p": 0.1})
    tool = ToolSpec("add", "Adds.", {"type": "object"})
    request = Request(({"role": "assistant", "content": "so"},), sampling, (tool,), continue_final=True)
    function = {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}
    body = json.loads(json.dumps(request_body(request, "m", stream=True, token_ids=True)))
    assert body == {
        "model": "m",
        "messages": [{"role": "assistant", "content": "so"}],
        "temperature": 0.0,
        "top_p": 0.9,
        "top_k": 20,
        "max_tokens": 100,
        "seed": 7,
        "stop": ["END"],
        "logprobs": True,
        "min_p": 0.1,
        "tools": [{"type": "function", "function": function}],
        "return_token_ids": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        "add_generation_prompt": False,
        "continue_final_message": True,
    }


def test_a_schema_alternatives_and_a_choice_of_tools_are_asked_for() -> None:
    tool = ToolSpec("add", "Adds.", {"type": "object"})
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    request = Request((), Sampling(logprobs=False, top_logprobs=5), (tool,), schema=schema, tool_choice="none")
    body = request_body(request, "m", stream=False, token_ids=False)
    assert (body["logprobs"], body["top_logprobs"], body["tool_choice"]) == (True, 5, "none")
    form = {"name": "reply", "schema": schema, "strict": True}
    assert body["response_format"] == {"type": "json_schema", "json_schema": form}


def test_a_choice_of_tools_is_not_sent_where_there_are_none() -> None:
    assert "tool_choice" not in request_body(Request((), tool_choice="none"), "m", stream=False, token_ids=False)


def test_a_chat_has_no_place_for_token_ids() -> None:
    with pytest.raises(ModelError, match="m can't go on from token ids: use a model on a vLLM server"):
        request_body(Request((), prompt_ids=(1,)), "m", stream=False, token_ids=False)


def test_unknown_fields_are_kept_wherever_they_are() -> None:
    payload = answer({"content": "4", "refusal": "no", "audio": None}, system_fingerprint="f", note={"deep": [1]})
    payload["choices"][0]["stop_reason"] = "END"
    payload["usage"] = {"prompt_tokens": 1, "completion_tokens": 2, "energy": 5}
    extra = read_completion(payload, "m").extra
    assert extra == {
        "system_fingerprint": "f",
        "note": {"deep": [1]},
        "choice": {"stop_reason": "END"},
        "message": {"refusal": "no"},
        "usage": {"energy": 5},
    }


def test_alternatives_come_by_falling_probability() -> None:
    tops = [{"token": "5", "logprob": -1.5}, {"token": "4", "logprob": -0.5}]
    payload = answer({"content": "4"})
    payload["choices"][0]["logprobs"] = {
        "content": [{"token": "4", "logprob": -0.5, "top_logprobs": tops}, {"token": "!", "logprob": -2.0}]
    }
    completion = read_completion(payload, "m")
    assert completion.logprobs == (-0.5, -2.0)
    assert completion.top_logprobs == ((("4", -0.5), ("5", -1.5)), ())


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_under_either_name_and_no_content(name: str) -> None:
    completion = read_completion(answer({"content": None, name: "hm"}), "m")
    assert (completion.text, completion.reasoning) == ("", "hm")


def test_content_in_parts_and_arguments_as_an_object() -> None:
    call = {"function": {"name": "add", "arguments": {"a": 1}}}
    completion = read_completion(answer({"content": [{"type": "text", "text": "4"}, {}], "tool_calls": [call]}), "m")
    assert completion.text == "4"
    assert completion.tool_calls == (ToolCall("call-0", "add", '{"a": 1}'),)


def test_usage_is_reported_then_counted_then_missing_but_never_made_up() -> None:
    reported = {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    usage = read_completion(
        answer({"content": "4"}, usage=reported), "m", Price(prompt=1, completion=2, cached=0.5)
    ).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) == (10, 2, 4)
    assert usage.cost == pytest.approx((6 * 1 + 4 * 0.5 + 2 * 2) / 1e6)

    counted = answer({"content": "4"}, prompt_token_ids=[1, 2, 3])
    counted["choices"][0]["token_ids"] = [4]
    completion = read_completion(counted, "m")
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (3, 1)
    assert "usage_missing" not in completion.extra

    missing = read_completion(answer({"content": "4"}, usage={"prompt_tokens": 3}), "m", Price(prompt=1, completion=1))
    assert missing.extra["usage_missing"] is True
    assert missing.usage.cost is None


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"choices": []},
        {"choices": [None]},
        {"choices": [{"index": 0}]},
        answer({"content": 4}),
        answer({"content": "4", "tool_calls": [{"id": "x"}]}),
        answer({"content": "4"}, usage={"prompt_tokens": "many", "completion_tokens": 1}),
        {"choices": [{"message": {"content": "4"}, "logprobs": {"content": [{"token": "4"}]}}]},
    ],
)
def test_an_answer_that_is_not_the_protocol_is_malformed(payload: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as caught:
        read_completion(payload, "m", Price(prompt=1, completion=1))
    assert caught.value.kind == "malformed"


def test_tool_calls_of_servers_that_leave_the_index_out() -> None:
    joiner = StreamJoiner()
    for call_id, name, arguments in [("a", "add", '{"x"'), (None, None, ": 1}"), ("b", "add", "{}")]:
        fragment = {"id": call_id, "function": {"name": name, "arguments": arguments}}
        assert joiner.add({"choices": [{"delta": {"tool_calls": [fragment]}}]}) == Delta(tokens=1)
    calls = read_completion(joiner.result(), "m").tool_calls
    assert calls == (ToolCall("a", "add", '{"x": 1}'), ToolCall("b", "add", "{}"))


def test_unknown_streamed_fields_are_joined_like_text() -> None:
    joiner = StreamJoiner()
    for piece in ("one ", "two"):
        joiner.add(
            {"choices": [{"delta": {"content": piece, "commentary": piece, "parts": [piece]}, "stop_reason": "x"}]}
        )
    completion = read_completion(joiner.result(), "m")
    assert completion.text == "one two"
    assert completion.extra["message"] == {"commentary": "one two", "parts": ["one ", "two"]}
    assert completion.extra["choice"] == {"stop_reason": "x"}


def test_a_chunk_of_an_unexpected_form_is_malformed() -> None:
    with pytest.raises(ModelError) as caught:
        StreamJoiner().add({"choices": [{"delta": {"tool_calls": [3]}}]})
    assert caught.value.kind == "malformed"


def test_defaults_fill_only_what_is_open() -> None:
    defaults = SamplingDefaults(temperature=0.7, max_tokens=9, stop=("A",), extra={"a": 1, "b": 1})
    filled = defaults.fill(Sampling(temperature=0.0, extra={"b": 2}))
    assert filled == Sampling(0.0, max_tokens=9, stop=("A",), extra={"a": 1, "b": 2})


def test_json_that_the_fast_reader_refuses_is_read_all_the_same() -> None:
    assert decode_json(b'{"logprob": -Infinity}') == {"logprob": float("-inf")}
    assert json.loads(encode_json({"content": "half a \ud83d", "top": ("a",)})) == {
        "content": "half a \ud83d",
        "top": ["a"],
    }
    with pytest.raises(ValueError):
        decode_json(b"<html>")
