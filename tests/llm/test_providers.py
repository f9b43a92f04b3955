"""Other providers, through litellm and a local server. Slow: importing litellm takes seconds."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import ModelError, UnknownName
from maieutic.llm.profile import Price, Profile
from maieutic.llm.registry import resolve_model
from maieutic.settings import Settings
from maieutic.types import Completion, Delta, Message, Request, Sampling, ToolCall, ToolSpec
from tests.support.server import Answer, FakeServer

pytestmark = [pytest.mark.slow]
REQUEST = Request(({"role": "user", "content": "hi"},), Sampling(temperature=0.5))
KEY = "sk-very-secret-0123456789"


def provider(url: str, naps: list[float] | None = None, **fields: Any) -> Any:
    from maieutic.llm.providers import ProviderModel

    async def sleep(seconds: float) -> None:
        if naps is not None:
            naps.append(seconds)

    profile = Profile(**{"kind": "litellm", "model": "openai/m", "base_url": url, **fields})
    return ProviderModel("openai/m", profile, KEY, sleep)


async def test_plain_and_streamed_answers_are_the_same() -> None:
    answer = Answer("the answer", tool_calls=[("add", '{"a": 1}')], reasoning="hm", finish_reason="tool_calls")
    tool = ToolSpec("add", "Adds.", {"type": "object", "properties": {}})
    asked: Message = {"role": "assistant", "content": "so", "reasoning": "private"}
    request = Request((*REQUEST.messages, asked, {"role": "user", "content": "go on"}), REQUEST.sampling, (tool,))
    deltas: list[Delta] = []
    with FakeServer(answer) as server:
        model = provider(server.url, price=Price(prompt=1, completion=2))
        plain: Completion = await model.sample(request)
        streamed: Completion = await model.sample(request, deltas.append)
        await model.close()
    for got in (plain, streamed):
        assert (got.text, got.reasoning, got.finish_reason) == ("the answer", "hm", "tool_calls")
        assert got.tool_calls == (ToolCall("id-0", "add", '{"a": 1}'),)
        assert got.logprobs == tuple(-b / 100 for b in b"the answer")
        assert (got.usage.completion_tokens, got.usage.cached_tokens) == (10, 1)
        assert got.usage.cost == pytest.approx((got.usage.prompt_tokens + 10 * 2) / 1e6)
    assert "".join(d.text for d in deltas) == "the answer"
    assert server.requests[0]["messages"][1] == {"role": "assistant", "content": "so"}
    assert server.requests[0]["temperature"] == 0.5 and server.requests[0]["tools"][0]["function"]["name"] == "add"


async def test_costs_are_known_or_none() -> None:
    with FakeServer(Answer("4"), models=["gpt-4o", "m"]) as server:
        known = await provider(server.url, model="openai/gpt-4o").sample(REQUEST)
        unknown = await provider(server.url).sample(REQUEST)
    assert known.usage.cost is not None and known.usage.cost > 0
    assert unknown.usage.cost is None


async def test_failures_and_retries(capfd: pytest.CaptureFixture[str]) -> None:
    naps: list[float] = []
    with FakeServer([Answer(status=429, headers={"Retry-After": "3"}), Answer("4")]) as server:
        assert (await provider(server.url, naps).sample(REQUEST)).text == "4"
    assert naps == [pytest.approx(3.05, abs=0.06)]
    with FakeServer(Answer(f"bad key {KEY}", status=401)) as server:
        with pytest.raises(ModelError) as refused:
            await provider(server.url).sample(REQUEST)
    assert (refused.value.kind, refused.value.status, refused.value.retryable) == ("refused", 401, False)
    assert "bad key" in str(refused.value) and "secret" not in str(refused.value)
    assert len(server.requests) == 1
    with pytest.raises(ModelError) as gone:
        await provider(server.url, retries=0).sample(REQUEST)
    assert gone.value.kind == "unreachable"
    with FakeServer(Answer("hello there", cut_after=3)) as server:
        with pytest.raises(ModelError) as cut:
            await provider(server.url).sample(REQUEST, lambda delta: None)
    assert cut.value.kind == "cut" and len(server.requests) == 1
    with FakeServer(Answer(delay=5)) as server:
        with pytest.raises(ModelError) as late:
            await provider(server.url, timeouts={"first_byte": 0.2}).sample(REQUEST)
    assert late.value.kind == "timeout" and "begin to answer within 0.2 s" in str(late.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancelled_call_closes_its_connection(stream: bool) -> None:
    with FakeServer(Answer("x" * 4000, chunk_delay=0.02) if stream else Answer(delay=30)) as server:
        task = asyncio.create_task(provider(server.url).sample(REQUEST, (lambda delta: None) if stream else None))
        assert await server.until(lambda: server.running == 1)
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await server.until(lambda: len(server.disconnects) == 1, 0.5)


async def test_what_the_listener_raises_ends_the_call() -> None:
    def listener(delta: Delta) -> None:
        raise ValueError("enough")

    with FakeServer(Answer("x" * 4000, chunk_delay=0.02)) as server:
        with pytest.raises(ValueError, match="enough"):
            await provider(server.url).sample(REQUEST, listener)
        assert await server.until(lambda: len(server.disconnects) == 1, 0.5)


async def test_an_open_message_is_refused_where_it_cannot_be_continued() -> None:
    request = Request((*REQUEST.messages, {"role": "assistant", "content": "so"}), continue_final=True)
    with pytest.raises(ModelError, match="openai/m can't go on from an open message"):
        await provider("http://localhost:1/v1").sample(request)


def test_an_unknown_provider_is_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="There is no model named 'vlm/qwen'"):
        resolve_model("vlm/qwen", Settings(models_dir=tmp_path), {})
