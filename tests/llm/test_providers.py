"""OpenAI, Anthropic, Gemini, Ollama and Mistral through litellm, against servers that speak their wire formats.

Slow: importing litellm takes seconds.
"""

import asyncio
import gc
import json
import socket
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from maieutic.errors import ModelError
from maieutic.llm.model import Enough
from maieutic.llm.profile import Price, Profile
from maieutic.types import Completion, Delta, Message, Request, Sampling, ToolSpec
from tests.support.provider_formats_more import SIGNED
from tests.support.provider_servers import KEY, ProviderServer, Said
from tests.support.server import Answer, FakeServer

pytestmark = [pytest.mark.slow]
NAMES = {
    "openai": "openai/gpt-4o",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-2.5-flash",
    "ollama": "ollama/m",
    "mistral": "mistral/mistral-large-latest",
}
PROVIDERS = list(NAMES)
USER: Message = {"role": "user", "content": "hi"}
REQUEST = Request(({"role": "system", "content": "Be brief."}, USER), Sampling(temperature=0.5))
ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
TWO_CALLS = Said("let me see", calls=[("add", {"a": 1}), ("add", {"a": 2})])


def model(server: Any, name: str, **fields: Any) -> Any:
    from maieutic.llm.providers import ProviderModel

    profile = Profile(**{"kind": "litellm", "model": name, "base_url": server.url, **fields})
    return ProviderModel(name, profile, KEY)


async def ask(server: Any, name: str, request: Request = REQUEST, listener: Any = None, **fields: Any) -> Completion:
    asked = model(server, name, **fields)
    try:
        completion: Completion = await asked.sample(request, listener)
        return completion
    finally:
        await asked.close()


def without_ids(completion: Completion) -> Completion:
    """Where a provider gives its calls no ids, each answer gets new ones."""
    return replace(completion, tool_calls=tuple(replace(call, id="") for call in completion.tool_calls))


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_plain_and_streamed_answers_are_the_same(provider: str) -> None:
    thinking = "" if provider == "openai" else "two and two"  # its chat does not say what it thought
    said = Said("the answer is four", reasoning=thinking, calls=TWO_CALLS.calls)
    deltas: list[Delta] = []
    request = replace(REQUEST, tools=(ADD,))
    with ProviderServer(provider, said) as server:
        plain = await ask(server, NAMES[provider], request)
        streamed = await ask(server, NAMES[provider], request, deltas.append)
    assert without_ids(plain) == without_ids(streamed)
    assert (plain.text, plain.reasoning, plain.finish_reason) == (said.text, thinking or None, "tool_calls")
    assert [(call.name, json.loads(call.arguments)) for call in plain.tool_calls] == said.calls
    assert len({call.id for call in plain.tool_calls}) == 2
    assert (plain.usage.prompt_tokens, plain.usage.completion_tokens) == (11, 7)
    assert plain.usage.cached_tokens == (0 if provider in ("ollama", "mistral") else 3)
    assert "".join(d.text for d in deltas) == said.text and "".join(d.reasoning for d in deltas) == thinking
    assert len([d for d in deltas if d.text]) > 1
    assert len(server.requests) == 2  # nothing else was asked


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_conversation_with_tools_goes_round(provider: str, stream: bool) -> None:
    heard: list[Delta] = []
    listener = heard.append if stream else None
    extra = {"thinking": {"type": "enabled", "budget_tokens": 1024}} if provider == "anthropic" else {}
    sampling = Sampling(max_tokens=2000, extra=extra)
    said = replace(TWO_CALLS, reasoning="" if provider == "openai" else "I need a sum")
    with ProviderServer(provider, [said, Said("three")]) as server:
        asked = model(server, NAMES[provider])
        first = await asked.sample(Request(REQUEST.messages, sampling, (ADD,)), listener)
        results: list[Message] = [
            {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": str(i)}
            for i, call in enumerate(first.tool_calls)
        ]
        messages = (*REQUEST.messages, first.message(), *results)
        second = await asked.sample(Request(messages, sampling, (ADD,)), listener)
        await asked.close()
    assert (second.text, second.finish_reason) == ("three", "stop")
    sent = json.dumps(server.requests[1]).replace("\\", "")
    assert "let me see" in sent and '"a": 1' in sent and '"a": 2' in sent
    if provider == "gemini":
        assert SIGNED in sent
    if provider == "anthropic":  # the server refuses a turn whose thoughts are not signed
        assert server.requests[1]["thinking"] == extra["thinking"]
        assert first.extra["message"]["thinking_blocks"][0]["thinking"] == "I need a sum"


@pytest.mark.parametrize("provider", ["anthropic", "mistral", "openai", "gemini", "ollama"])
async def test_calls_of_another_model_can_be_gone_on_with(provider: str) -> None:
    call = {"id": "call-1.of/another", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    asked: Message = {"role": "assistant", "content": "so", "reasoning": "private", "tool_calls": [call]}
    result: Message = {"role": "tool", "tool_call_id": call["id"], "name": "add", "content": "1"}
    name = "gemini/gemini-3-pro-preview" if provider == "gemini" else NAMES[provider]  # it insists on signed calls
    with ProviderServer(provider, Said("one")) as server:
        got = await ask(server, name, Request((USER, asked, result), tools=(ADD,)))
    assert got.text == "one"
    assert "private" not in json.dumps(server.requests)


@pytest.mark.parametrize("arguments", ['{"a": 1', "[1]", ""])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_malformed_call_can_be_gone_on_with(provider: str, arguments: str) -> None:
    call = {"id": "aB3dE5fG7", "type": "function", "function": {"name": "add", "arguments": arguments}}
    asked: Message = {"role": "assistant", "content": None, "tool_calls": [call]}
    result: Message = {"role": "tool", "tool_call_id": call["id"], "name": "add", "content": "Not JSON."}
    with ProviderServer(provider, Said("sorry")) as server:
        got = await ask(server, NAMES[provider], Request((USER, asked, result), tools=(ADD,)))
    assert got.text == "sorry"
    assert json.dumps(arguments)[1:-1] in json.dumps(server.requests[0]).replace("\\\\\\", "\\")


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_why_an_answer_ended_is_said_in_one_vocabulary(provider: str) -> None:
    listeners = [None, lambda delta: None]
    with ProviderServer(provider, Said(finish="length")) as server:
        ended = [await ask(server, NAMES[provider], REQUEST, listener) for listener in listeners]
    assert [c.finish_reason for c in ended] == ["length", "length"]
    assert ended[0].text == "hello there"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "mistral"])
async def test_what_a_filter_withholds_is_an_error_and_what_it_cuts_is_an_answer(provider: str, stream: bool) -> None:
    listener = (lambda delta: None) if stream else None
    with ProviderServer(provider, [Said("so far", finish="filter"), Said("", finish="filter")]) as server:
        asked = model(server, NAMES[provider])
        if provider == "gemini" and not stream:  # litellm leaves out what a filter has cut off
            with pytest.raises(ModelError, match="content filter withheld it"):
                await asked.sample(REQUEST)
        else:
            cut = await asked.sample(REQUEST, listener)
            assert (cut.text, cut.finish_reason) == ("so far", "content_filter")
        with pytest.raises(ModelError, match="content filter withheld it") as withheld:
            await asked.sample(REQUEST, listener)
        await asked.close()
    assert (withheld.value.kind, withheld.value.retryable) == ("refused", False)


# Plain answers of Anthropic and Gemini always count their tokens: one that doesn't is malformed.
@pytest.mark.parametrize(
    ("provider", "stream"),
    [(p, s) for p in PROVIDERS for s in (False, True) if s or p not in ("anthropic", "gemini")],
)
async def test_tokens_that_were_not_counted_are_not_guessed(provider: str, stream: bool) -> None:
    with ProviderServer(provider, Said(usage=False)) as server:
        got = await ask(server, NAMES[provider], REQUEST, (lambda delta: None) if stream else None)
    assert got.text == "hello there"
    assert got.extra["usage_missing"] is True and got.usage.cost is None and got.usage.tokens == 0


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_what_it_cost_is_listed_or_set_or_unknown(provider: str) -> None:
    with ProviderServer(provider) as server:
        listed = await ask(server, NAMES[provider])
        own = await ask(server, NAMES[provider], price=Price(prompt=1, completion=2, cached=0))
        unknown = await ask(server, f"{provider}/m")
    cached = 0 if provider in ("ollama", "mistral") else 3
    assert own.usage.cost == pytest.approx((11 - cached + 2 * 7) / 1e6)
    assert unknown.usage.cost is None
    if provider == "ollama":  # one's own machine costs something, too: nobody knows what
        assert listed.usage.cost is None
    else:
        assert listed.usage.cost is not None and 0 < listed.usage.cost < 1e-3


async def test_a_listed_price_is_reckoned_with_what_was_cached() -> None:
    with ProviderServer("anthropic") as server:
        got = await ask(server, "anthropic/claude-sonnet-4-5")
    assert got.usage.cost == pytest.approx((8 * 3 + 3 * 0.3 + 7 * 15) / 1e6)  # dollars for a million, as published


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", ["openai", "gemini"])
async def test_log_probabilities_with_alternatives(provider: str, stream: bool) -> None:
    request = replace(REQUEST, sampling=Sampling(top_logprobs=2))
    with ProviderServer(provider, Said("four")) as server:
        got = await ask(server, NAMES[provider], request, (lambda delta: None) if stream else None)
    assert got.logprobs == (-0.25,) * 4
    assert got.top_logprobs is not None and got.top_logprobs[1] == (("o", -0.25), ("?", -1.5))
    assert "dropped" not in got.extra


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_schema_is_sent_and_kept_to(provider: str) -> None:
    schema = {
        "type": "object",
        "properties": {"sum": {"type": "integer"}},
        "required": ["sum"],
        "additionalProperties": False,
    }
    with ProviderServer(provider, Said('{"sum": 4}')) as server:
        got = await ask(server, NAMES[provider], replace(REQUEST, schema=schema))
    assert json.loads(got.text) == {"sum": 4} and "dropped" not in got.extra
    assert '"sum"' in json.dumps(server.requests[0])


DROPPED = {
    "openai": ["top_k"],
    "anthropic": ["seed", "top_logprobs"],
    "gemini": [],
    "ollama": ["top_logprobs"],
    "mistral": ["top_k", "top_logprobs"],
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_what_a_provider_does_not_take_is_left_out_and_noted(provider: str, stream: bool) -> None:
    sampling = Sampling(0.5, 0.9, 5, max_tokens=100, stop=("X",), seed=3, top_logprobs=2)
    with ProviderServer(provider) as server:
        asked = model(server, NAMES[provider])
        listener = (lambda delta: None) if stream else None
        twice = [await asked.sample(replace(REQUEST, sampling=sampling), listener) for _ in range(2)]
        await asked.close()
    assert [c.extra.get("dropped", []) for c in twice] == [DROPPED[provider]] * 2
    assert len(server.requests) <= 3  # what was refused once is not sent again
    sent = json.dumps(server.requests[-1])
    assert '"X"' in sent and "0.9" in sent and "100" in sent


@pytest.mark.parametrize("choice", ["none", "required"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_whether_tools_may_be_called(provider: str, choice: Any) -> None:
    with ProviderServer(provider) as server:
        got = await ask(server, NAMES[provider], replace(REQUEST, tools=(ADD,), tool_choice=choice))
    said = server.requests[0].get("tool_choice") or server.requests[0].get("toolConfig")
    if provider == "ollama":  # it has no such field: tools that must not be called are not shown
        assert ("tools" in server.requests[0]) == (choice == "required")
        assert got.extra["dropped"] == (["tool_choice"] if choice == "required" else ["tools", "tool_choice"])
    else:
        words = {"none": ("none", "NONE"), "required": ("required", "any", "ANY")}[choice]
        assert any(f'"{word}"' in json.dumps(said) for word in words)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_listener_that_heard_enough_ends_the_call(provider: str) -> None:
    heard: list[str] = []

    def listener(delta: Delta) -> None:
        heard.append(delta.text)
        if len("".join(heard)) >= 8:
            raise Enough("repetition")

    with ProviderServer(provider, Said("x" * 4000, chunk_delay=0.02)) as server:
        got = await ask(server, NAMES[provider], REQUEST, listener)
        assert await server.until(lambda: len(server.disconnects) == 1)
    assert (got.text, got.finish_reason) == ("x" * 8, "repetition")
    assert got.extra["usage_missing"] is True and got.usage.cost is None


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_what_the_listener_raises_ends_the_call(provider: str) -> None:
    def listener(delta: Delta) -> None:
        raise ValueError("no more")

    with ProviderServer(provider, Said("x" * 4000, chunk_delay=0.02)) as server:
        with pytest.raises(ValueError, match="no more"):
            await ask(server, NAMES[provider], REQUEST, listener)
        assert await server.until(lambda: len(server.disconnects) == 1)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_cancelled_call_closes_its_connection(provider: str, stream: bool) -> None:
    heard: list[Delta] = []
    said = Said("x" * 4000, chunk_delay=0.02) if stream else Said(delay=60)
    with ProviderServer(provider, said) as server:
        task = asyncio.create_task(ask(server, NAMES[provider], REQUEST, heard.append if stream else None))
        assert await server.until(lambda: server.running == 1 and (not stream or bool(heard)))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await server.until(lambda: len(server.disconnects) == 1)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_call_can_be_cancelled_before_it_has_left(provider: str) -> None:
    """litellm prepares a call in a thread; nothing of it is left behind, however early the call is cancelled."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody: Any = SimpleNamespace(url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        asked = model(nobody, NAMES[provider])
        cancelled = 0
        for turns in range(12):
            task = asyncio.create_task(asked.sample(REQUEST))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(ModelError):  # it was quicker
                try:
                    await task
                except asyncio.CancelledError:
                    cancelled += 1
        await asked.close()
    gc.collect()  # a coroutine that was never awaited would say so now
    assert cancelled > 0


async def test_only_some_go_on_from_an_open_message() -> None:
    request = Request((USER, {"role": "assistant", "content": "so"}), continue_final=True)
    with ProviderServer("mistral") as server:
        assert (await ask(server, NAMES["mistral"], request)).text == "hello there"
        assert server.requests[0]["messages"][-1]["prefix"] is True
        with pytest.raises(ModelError, match="openai/m can't go on from an open message"):
            await ask(server, "openai/m", request)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_is_not_known_by_name(stream: bool) -> None:
    """litellm's own connections, which can't be watched: answers, errors and cut streams come through all the same."""
    listener = (lambda delta: None) if stream else None
    script = [Answer("four", reasoning="hm"), Answer("no way", status=400), Answer("hello there", cut_after=3)]
    with FakeServer(script) as server:
        asked = model(server, "hosted_vllm/m", retries=0)
        got = await asked.sample(REQUEST, listener)
        with pytest.raises(ModelError, match="no way") as refused:
            await asked.sample(REQUEST, listener)
        with pytest.raises(ModelError) as cut:
            await asked.sample(REQUEST, listener)
        await asked.close()
    assert (got.text, got.reasoning, got.finish_reason, got.usage.cost) == ("four", "hm", "stop", None)
    assert (refused.value.kind, refused.value.status) == ("refused", 400)
    assert cut.value.retryable and (cut.value.kind == "cut" or not stream)
