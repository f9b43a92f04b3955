import asyncio
import gc
import json
from typing import Any

import httpx
import pytest

from maieutic.errors import ModelError
from maieutic.llm.profile import Price, Profile
from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.types import Delta, Request, Sampling, ToolCall, ToolSpec
from tests.support.server import Answer, FakeServer

REQUEST = Request(({"role": "user", "content": "hi"},))


def client(server: FakeServer, **fields: Any) -> OpenAICompatibleModel:
    return OpenAICompatibleModel("served", Profile(**{"kind": "vllm", "model": "m", **fields}), server.url)


async def test_plain_and_streamed_answers_are_the_same() -> None:
    answer = Answer(
        "the answer",
        tool_calls=[("add", '{"a": 1}'), ("add", '{"b": 2}')],
        reasoning="let me think",
        finish_reason="tool_calls",
        fields={"system_fingerprint": "f"},
        message={"refusal": "no"},
        choice={"stop_reason": "END"},
    )
    deltas: list[Delta] = []
    with FakeServer(answer) as server:
        model = client(server, price=Price(prompt=1, completion=2))
        plain = await model.sample(REQUEST)
        streamed = await model.sample(REQUEST, deltas.append)
        await model.close()
    assert plain == streamed
    assert plain.text == "the answer"
    assert plain.tool_calls == (ToolCall("id-0", "add", '{"a": 1}'), ToolCall("id-1", "add", '{"b": 2}'))
    assert plain.reasoning == "let me think"
    assert plain.finish_reason == "tool_calls"
    assert plain.prompt_token_ids == tuple(b"hi")
    assert plain.token_ids == tuple(b"the answer")
    assert plain.logprobs == tuple(-b / 100 for b in b"the answer")
    assert plain.usage.tokens == 12 and plain.usage.cached_tokens == 1
    assert plain.usage.cost == pytest.approx((2 + 10 * 2) / 1e6)
    assert plain.extra["system_fingerprint"] == "f"
    assert "".join(d.text for d in deltas) == "the answer"
    assert "".join(d.reasoning for d in deltas) == "let me think"
    assert sum(d.tokens for d in deltas if d.text) == 10
    assert "stream" not in server.requests[0] and server.requests[1]["stream"] is True


async def test_every_part_of_a_request_arrives() -> None:
    tool = ToolSpec("add", "Adds.", {"type": "object"})
    sampling = Sampling(0.5, 0.9, 20, 64, ("END",), 7, extra={"min_p": 0.1, "chat_template_kwargs": {"x": True}})
    messages = ({"role": "user", "content": "hi"}, {"role": "assistant", "content": "so", "prefix": True})
    with FakeServer() as server:
        model = client(server)
        await model.sample(Request(messages, sampling, (tool,), continue_final=True))  # type: ignore[arg-type]
        await model.close()
    body = server.requests[0]
    assert body["messages"] == list(messages)
    assert body["tools"][0]["function"]["name"] == "add"
    assert (body["min_p"], body["chat_template_kwargs"], body["seed"]) == (0.1, {"x": True}, 7)
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)


async def test_a_strict_server_is_asked_without_what_it_does_not_take_and_that_is_remembered() -> None:
    with FakeServer(refuse_fields=["return_token_ids", "stream_options"]) as server:
        model = client(server)
        first = await model.sample(REQUEST, lambda delta: None)
        asked = len(server.requests)
        second = await model.sample(REQUEST, lambda delta: None)
        await model.close()
    assert (first.text, second.text) == ("hello", "hello")
    assert asked == 3 and len(server.requests) == 4
    assert first.token_ids is None
    assert first.extra["usage_missing"] is True


async def test_what_the_user_asked_for_is_never_left_out() -> None:
    with FakeServer(refuse_fields=["seed"]) as server:
        model = client(server)
        with pytest.raises(ModelError, match="refused the request .400: Unrecognized request argument supplied: seed."):
            await model.sample(Request(REQUEST.messages, Sampling(seed=1)))
        await model.close()
    assert len(server.requests) == 1


async def test_token_ids_are_asked_of_vllm_only() -> None:
    with FakeServer() as server:
        model = client(server, kind="openai-compatible")
        completion = await model.sample(REQUEST)
        await model.close()
    assert "return_token_ids" not in server.requests[0]
    assert completion.token_ids is None


async def test_a_server_that_does_not_stream_is_understood() -> None:
    deltas: list[Delta] = []
    with FakeServer(Answer("hello", ignore_stream=True)) as server:
        model = client(server)
        completion = await model.sample(REQUEST, deltas.append)
        await model.close()
    assert completion.text == "hello"
    assert deltas == [Delta("hello", "", 5, prompt_tokens=2)]


async def test_a_stream_without_its_last_event_is_complete_once_it_said_why_it_ended() -> None:
    with FakeServer(Answer("hello", done=False, usage=False)) as server:
        model = client(server, kind="openai-compatible")
        completion = await model.sample(REQUEST, lambda delta: None)
        await model.close()
    assert (completion.text, completion.finish_reason) == ("hello", "stop")
    assert completion.extra["usage_missing"] is True


async def test_the_only_model_of_a_server_needs_no_name() -> None:
    with FakeServer(models=["only"]) as server:
        model = client(server, model="")
        completion = await model.sample(REQUEST)
        await model.close()
    assert completion.model == "only"
    with FakeServer(models=["a", "b"]) as server:
        model = client(server, model="")
        with pytest.raises(ModelError, match="serves a, b: name one"):
            await model.sample(REQUEST)
        await model.close()


async def test_a_model_that_is_not_served_gets_the_list_of_those_that_are() -> None:
    with FakeServer(models=["qwen", "llama"]) as server:
        model = client(server)
        with pytest.raises(ModelError, match="has no model 'm'; it serves: qwen, llama") as caught:
            await model.sample(REQUEST)
        await model.close()
    assert caught.value.status == 404


async def test_a_wrong_path_is_named() -> None:
    with FakeServer() as server:
        model = OpenAICompatibleModel("x", Profile(kind="vllm", model="m"), server.url + "/wrong")
        with pytest.raises(ModelError, match="There is no chat endpoint at .*/v1/wrong"):
            await model.sample(REQUEST)
        await model.close()


async def test_two_hundred_calls_run_at_once_unless_the_profile_says_fewer() -> None:
    with FakeServer(Answer(delay=0.5)) as server:
        model = client(server)
        await asyncio.gather(*(model.sample(REQUEST) for _ in range(200)))
        await model.close()
    assert server.peak == 200
    with FakeServer(Answer(delay=0.02)) as server:
        model = client(server, concurrency=3)
        await asyncio.gather(*(model.sample(REQUEST) for _ in range(9)))
        await model.close()
    assert server.peak == 3


async def test_connections_are_used_again() -> None:
    with FakeServer() as server:
        model = client(server)
        for _ in range(5):
            await model.sample(REQUEST)
            await model.sample(REQUEST, lambda delta: None)
        await model.close()
    assert len(server.connections) == 1


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # the first loop ends with its connections open
def test_a_model_outlives_its_event_loop() -> None:
    with FakeServer() as server:
        model = client(server, concurrency=1)
        texts = [asyncio.run(_sample_pair(model)) for _ in range(2)]
        asyncio.run(_sample_and_close(model))
    gc.collect()
    assert texts == ["hello", "hello"]


async def _sample_pair(model: OpenAICompatibleModel) -> str:
    first, _ = await asyncio.gather(model.sample(REQUEST), model.sample(REQUEST))
    return first.text


async def _sample_and_close(model: OpenAICompatibleModel) -> None:
    await model.sample(REQUEST)
    await model.close()


@pytest.mark.parametrize("address", ["http://host:1", "http://host:1/v1/", "http://host:1/v1/chat/completions"])
async def test_the_transport_can_be_exchanged_and_addresses_are_understood(address: str) -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"choices": [{"message": {"content": "4"}}]})

    profile = Profile(kind="vllm", model="m")
    model = OpenAICompatibleModel("x", profile, address, "key", lambda: httpx.MockTransport(handle))
    assert (await model.sample(REQUEST)).text == "4"
    await model.close()
    assert str(seen[0].url) == "http://host:1/v1/chat/completions"
    assert seen[0].headers["authorization"] == "Bearer key"
    assert json.loads(seen[0].content)["model"] == "m"
