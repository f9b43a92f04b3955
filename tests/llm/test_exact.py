"""Exact calls at a server: prompts of token ids, ends by the listener, checked names, thoughts, versions."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from maieutic.errors import ConfigError, ModelError
from maieutic.llm.model import Enough, TokenModel
from maieutic.llm.profile import Profile
from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.llm.server.stream import StreamJoiner
from maieutic.llm.server.wire import read_completion
from maieutic.settings import parse_yaml
from maieutic.types import Delta, Message, Request, Sampling, ToolSpec
from tests.support.server import Answer, FakeServer

MESSAGES: tuple[Message, ...] = ({"role": "user", "content": "hi"},)
REQUEST = Request(MESSAGES)
RAW = Request(MESSAGES, prompt_ids=(104, 105, 33))
TOOL = ToolSpec("add", "Adds.", {"type": "object"})


def client(server: FakeServer, **fields: Any) -> OpenAICompatibleModel:
    return OpenAICompatibleModel("served", Profile(**{"kind": "vllm", "model": "m", **fields}), server.url)


def after(pieces: int) -> Callable[[Delta], None]:
    """A listener that has heard enough at the piece of this number."""
    left = iter(range(pieces - 1))

    def listen(delta: Delta) -> None:
        if next(left, None) is None:
            raise Enough("repetition")

    return listen


async def test_a_prompt_of_ids_goes_out_as_it_is_and_the_answer_reads_as_any_other() -> None:
    answer = Answer("so it is", finish_reason="length", choice={"stop_reason": 7}, tops=[{"s": -0.1, "t": -2.0}])
    sampling = Sampling(0.5, 0.9, 20, 64, ("END",), 7, top_logprobs=2, extra={"min_p": 0.1})
    deltas: list[Delta] = []
    with FakeServer(answer) as server:
        model = client(server, weights="w1", template="t1")
        plain = await model.sample(Request(MESSAGES, sampling, prompt_ids=(104, 105, 33)))
        streamed = await model.sample(Request(MESSAGES, sampling, prompt_ids=(104, 105, 33)), deltas.append)
        await model.close()
    for completion in (plain, streamed):
        assert (completion.text, completion.finish_reason) == ("so it is", "length")
        assert completion.prompt_token_ids == (104, 105, 33) and completion.token_ids == tuple(b"so it is")
        assert completion.logprobs is not None and len(completion.logprobs) == 8
        assert completion.top_logprobs is not None
        assert completion.top_logprobs[0] == (("s", -0.1), ("t", -2.0)) and len(completion.top_logprobs) == 8
        assert (completion.weights, completion.template) == ("w1", None)
        assert completion.usage.prompt_tokens == 3 and completion.usage.completion_tokens == 8
    assert "".join(d.text for d in deltas) == "so it is" and deltas[0].prompt_ids == (104, 105, 33)
    assert tuple(i for d in deltas for i in d.ids or ()) == streamed.token_ids
    body = server.requests[0]
    assert (body["prompt"], body["logprobs"], body["max_tokens"], body["stop"]) == ([104, 105, 33], 2, 64, ["END"])
    assert (body["seed"], body["min_p"], body["return_token_ids"]) == (7, 0.1, True)
    assert "messages" not in body and "top_logprobs" not in body


async def test_a_raw_call_without_a_length_has_the_whole_context_and_no_settings_of_the_template() -> None:
    extra = {"chat_template_kwargs": {"enable_thinking": False}, "min_p": 0.1}
    with FakeServer() as server:
        model = client(server)
        await model.sample(Request(MESSAGES, Sampling(logprobs=False, extra=extra), prompt_ids=(1,)))
        await model.close()
    body = server.requests[0]
    assert body["max_tokens"] is None and body["min_p"] == 0.1
    assert "logprobs" not in body and "chat_template_kwargs" not in body


async def test_what_can_not_be_raw_is_refused_before_anything_is_sent() -> None:
    with FakeServer() as server:
        model, other = client(server), client(server, kind="openai-compatible")
        for request in (
            Request(MESSAGES, tools=(TOOL,), prompt_ids=(1,)),
            Request(MESSAGES, continue_final=True, prompt_ids=(1,)),
        ):
            with pytest.raises(ModelError, match="takes no tools, tool_choice or continue_final"):
                await model.sample(request)
        with pytest.raises(ModelError, match="can't be asked about tokens: use a model on a vLLM server"):
            await other.sample(RAW)
        for work in (other.encode("a"), other.decode((1,)), other.render(REQUEST)):
            with pytest.raises(ModelError, match="can't be asked about tokens"):
                await work
        await model.close()
        await other.close()
    assert server.requests == server.tokenized == []


async def test_rendering_encoding_and_decoding_at_a_server() -> None:
    with FakeServer() as server:
        model = client(server)
        assert isinstance(model, TokenModel)
        sampling = Sampling(extra={"chat_template_kwargs": {"enable_thinking": False}, "min_p": 0.1})
        assert await model.render(Request(MESSAGES, sampling, (TOOL,))) == tuple(b"hi")
        assert await model.render(Request(MESSAGES, continue_final=True)) == tuple(b"hi")
        assert await model.encode("wait") == tuple(b"wait")
        assert await model.decode((104, 105)) == "hi"
        assert (await model.encode(""), await model.decode(())) == ((), "")
        await model.close()
    first, second, third, fourth = server.tokenized
    assert (first["add_generation_prompt"], first["continue_final_message"]) == (True, False)
    assert first["tools"][0]["function"]["name"] == "add"
    assert first["chat_template_kwargs"] == {"enable_thinking": False} and "min_p" not in first
    assert (second["add_generation_prompt"], second["continue_final_message"]) == (False, True)
    assert (third["prompt"], third["add_special_tokens"]) == ("wait", False) and fourth["tokens"] == [104, 105]


async def test_a_server_without_these_endpoints_and_a_model_that_is_not_there() -> None:
    with FakeServer(tokenizes=False) as server:
        model, missing = client(server), client(server, model="x")
        with pytest.raises(ModelError, match="can't be asked about tokens: use a model on a vLLM server"):
            await model.encode("a")
        with pytest.raises(ModelError, match="has no model 'x'; it serves: m"):
            await missing.encode("a")
        await model.close()
        await missing.close()


@pytest.mark.parametrize("request_", [REQUEST, RAW], ids=["chat", "raw"])
async def test_enough_closes_the_connection_and_keeps_what_had_arrived(request_: Request) -> None:
    with FakeServer(Answer("la la la la " * 500, piece=3, chunk_delay=0.002)) as server:
        model = client(server)
        completion = await model.sample(request_, after(4))
        stopped = await server.until(lambda: server.running == 0 and len(server.disconnects) == 1)
        await model.close()
    assert stopped, "the server went on generating"
    assert (completion.text, completion.finish_reason) == ("la la la la ", "repetition")
    assert completion.token_ids == tuple(b"la la la la ")
    assert completion.logprobs is not None and len(completion.logprobs) == 12
    prompt = len(completion.prompt_token_ids or ())
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (prompt, 12) and prompt > 1
    assert len(server.requests) == 1 and "usage_missing" not in completion.extra


async def test_enough_of_a_server_that_does_not_stream_or_count() -> None:
    with FakeServer([Answer("la la", ignore_stream=True), Answer("la la la la", piece=3, usage=False)]) as server:
        model = client(server, kind="openai-compatible")
        whole = await model.sample(REQUEST, after(1))
        part = await model.sample(REQUEST, after(2))
        await model.close()
    assert (whole.text, whole.finish_reason, whole.usage.completion_tokens) == ("la la", "repetition", 5)
    assert (part.text, part.finish_reason) == ("la la ", "repetition")
    assert part.token_ids is None and part.extra["usage_missing"] is True


async def test_a_reply_by_schema() -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}}}
    with FakeServer(Answer('{"answer": 5}')) as server:
        model = client(server)
        completion = await model.sample(Request(MESSAGES, schema=schema))
        await model.sample(Request(MESSAGES, schema=schema, prompt_ids=(1,)))
        await model.close()
    assert json.loads(completion.text) == {"answer": 5}
    for body in server.requests:
        form = {"name": "reply", "schema": schema, "strict": True}
        assert body["response_format"] == {"type": "json_schema", "json_schema": form}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("guided_json", "use the request's schema, or structured_outputs: {json: …}"),
        ("guided_choice", "use structured_outputs: {choice: […]}"),
        ("best_of", "ask for several samples side by side"),
        ("presense_penalty", "did you mean 'presence_penalty'?"),
        ("thinking_budget", "did you mean 'thinking_token_budget'?"),
        ("zzz", "vLLM 0.32 has no field 'zzz' and would ignore it: put the name under `unchecked`"),
    ],
)
async def test_a_name_that_vllm_would_ignore_is_refused_with_the_one_to_use(name: str, says: str) -> None:
    request = Request(MESSAGES, Sampling(extra={name: 1}))
    with FakeServer() as server:
        model, free = client(server), client(server, unchecked=[name])
        with pytest.raises(ModelError) as caught:
            await model.sample(request)
        other = client(server, kind="openai-compatible")
        await free.sample(request)
        await other.sample(request)
        for one in (model, free, other):
            await one.close()
    assert says in str(caught.value)
    assert [body[name] for body in server.requests] == [1, 1]
    with pytest.raises(ConfigError, match=name):
        parse_yaml(f"kind: vllm\nsampling: {{extra: {{{name}: 1}}}}", Profile, "own.yaml")


async def test_versions_come_from_the_profile() -> None:
    with FakeServer() as server:
        model, silent = client(server, weights="w1", template="t1"), client(server)
        named, unnamed = await model.sample(REQUEST), await silent.sample(REQUEST)
        await model.close()
        await silent.close()
    assert (named.weights, named.template) == ("w1", "t1")
    assert (unnamed.weights, unnamed.template) == (None, None)


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_thoughts_stay_apart_under_either_name_in_a_stream(name: str) -> None:
    joiner = StreamJoiner()
    deltas = [joiner.add({"choices": [{"delta": delta}]}) for delta in ({name: "hm "}, {name: "yes"}, {"content": "4"})]
    assert deltas == [Delta(reasoning="hm "), Delta(reasoning="yes"), Delta("4")]
    completion = read_completion(joiner.result(), "m")
    assert (completion.text, completion.reasoning) == ("4", "hm yes")
    assert "message" not in completion.extra


async def test_thoughts_are_sent_back_with_the_conversation() -> None:
    with FakeServer(Answer("4", reasoning="two and two")) as server:
        model = client(server)
        first = await model.sample(REQUEST)
        await model.sample(Request((*MESSAGES, first.message(), *MESSAGES)))
        await model.close()
    sent = {"role": "assistant", "content": "4", "reasoning": "two and two"}
    assert server.requests[1]["messages"] == [*MESSAGES, sent, *MESSAGES]
