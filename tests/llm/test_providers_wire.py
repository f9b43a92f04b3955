"""What is seen on the wire, format by format, and which keys are asked for; nothing here imports litellm."""

import asyncio
import gc
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from maieutic.errors import ConfigError
from maieutic.llm.providers_answer import signed
from maieutic.llm.providers_failures import Failures
from maieutic.llm.providers_request import nine
from maieutic.llm.providers_table import PROVIDERS, api_root, provider_key, routed
from maieutic.llm.providers_wire import WITNESS, WatchedTransport, Witness
from maieutic.llm.registry import resolve_model
from maieutic.settings import Settings
from tests.support.provider_formats import Format, Json, Said
from tests.support.provider_servers import FORMATS, ProviderServer

BODY: Json = {"model": "m", "stream_options": {"include_usage": True}}
KINDS = {"application/x-ndjson": b"", "text/event-stream": b": a comment\n\n"}


def watch(chunks: list[bytes], kind: str, **headers: str) -> Witness:
    witness = Witness()
    witness.began(httpx.Response(200, headers={"content-type": kind, **headers}))
    for chunk in chunks:
        witness.take(chunk)
    witness.ended()
    return witness


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("provider", FORMATS)
def test_the_end_and_the_count_are_seen_however_the_bytes_arrive(provider: str, size: int) -> None:
    form: Format = FORMATS[provider]
    data = KINDS[form.stream_kind] + b"".join(form.events(BODY, Said("four", reasoning="hm")))
    seen = watch([data[i : i + size] for i in range(0, len(data), size)], form.stream_kind)
    plain = watch([json.dumps(form.whole(BODY, Said("four"))).encode()], "application/json; charset=utf-8")
    words = {"anthropic": "end_turn", "gemini": "STOP"}
    for witness in (seen, plain):
        assert (witness.finish, witness.counted, witness.model) == (words.get(provider, "stop"), True, "m")
        assert (witness.id is None) == (provider == "ollama")
        assert witness.failure is None and witness.error is None


@pytest.mark.parametrize("provider", FORMATS)
def test_every_piece_is_a_sign_of_life_also_one_that_says_nothing(provider: str) -> None:
    signs: list[None] = []
    witness = Witness(lambda: signs.append(None))
    witness.began(httpx.Response(200, headers={"content-type": FORMATS[provider].stream_kind}))
    for piece in (b"\n", b'event: ping\ndata: {"type": "ping"}\n\n' if provider == "anthropic" else b"\n"):
        witness.take(piece)
    assert len(signs) == 2 and witness.finish is None


@pytest.mark.parametrize("provider", FORMATS)
def test_a_stream_that_ends_early_is_cut_wherever_it_ends(provider: str) -> None:
    form = FORMATS[provider]
    events = form.events(BODY, Said("four"))
    last = next(i for i, event in enumerate(events) if _ends(event))
    for count in range(last):
        with pytest.raises(httpx.ReadError):
            watch(events[:count], form.stream_kind)
    assert watch(events[: last + 1], form.stream_kind).failure is None


def _ends(event: bytes) -> bool:
    words = (b'"finish_reason": "stop"', b'"stop_reason": "end_turn"', b'"finishReason": "STOP"', b'"done": true')
    return any(word in event for word in words)


def test_what_is_packed_is_not_judged() -> None:
    witness = watch([b"\x1f\x8b"], "application/json", **{"content-encoding": "gzip"})
    assert not witness.judged and witness.failure is None


async def test_an_exchange_without_a_witness_goes_through() -> None:
    transport = WatchedTransport(5)
    with ProviderServer("ollama", key=None) as server:
        async with httpx.AsyncClient(transport=transport) as client:
            answer = await client.post(f"{server.url}/api/chat", json={"model": "m", "messages": [], "stream": False})
            missing = await client.post(f"{server.url}/api/chat", json={"model": "x", "messages": []})
    assert answer.json()["message"]["content"] == "hello there" and missing.status_code == 404
    assert WITNESS.get() is None


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # a loop ends with its connections open
def test_connections_of_a_loop_that_is_gone_are_closed() -> None:
    async def ask() -> int:
        client = httpx.AsyncClient(transport=transport)
        return (await client.post(f"{server.url}/api/chat", json={"model": "m", "messages": []})).status_code

    async def close() -> None:
        await transport.aclose()

    transport = WatchedTransport(5)
    with ProviderServer("ollama", key=None) as server:
        assert [asyncio.run(ask()), asyncio.run(ask())] == [200, 200]

        async def last() -> int:
            status = await ask()
            await close()
            return status

        assert asyncio.run(last()) == 200
    gc.collect()


def test_blocks_of_thought_in_pieces_are_made_whole() -> None:
    pieces: list[Json] = [
        {"type": "thinking", "thinking": "one "},
        {"type": "thinking", "thinking": "two"},
        {"type": "thinking", "thinking": "", "signature": "s1"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "thinking", "thinking": "three", "signature": "s2"},
        {"type": "thinking", "thinking": "never signed"},
    ]
    assert signed(pieces) == [
        {"type": "thinking", "thinking": "one two", "signature": "s1"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "thinking", "thinking": "three", "signature": "s2"},
    ]


def test_an_id_of_nine_letters_is_the_same_each_time_and_another_for_another() -> None:
    assert nine("aB3dE5fG7") == "aB3dE5fG7"
    made = {nine(f"call-{i}") for i in range(1000)}
    assert len(made) == 1000 and nine("call-7") in made
    assert all(len(i) == 9 and i.isalnum() and i.isascii() for i in made)


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_a_missing_key_is_one_sentence_that_names_the_variable(name: str, tmp_path: Path) -> None:
    provider = PROVIDERS[name]
    if provider.keyless:
        assert provider_key("x", f"{name}/m", False, {}) is None
    else:
        with pytest.raises(ConfigError) as missing:
            resolve_model(f"{name}/m", Settings(models_dir=tmp_path), {})
        assert str(missing.value) == (
            f"The model '{name}/m' needs a key: set the environment variable {provider.keys[0]}."
        )
    for variable in provider.keys:
        assert provider_key("x", f"{name}/m", False, {variable: "k"}) == "k"
    assert provider_key("x", f"{name}/m", True, {}) is None  # a server of one's own may need none


def test_nothing_of_litellm_is_loaded_to_say_that_a_key_is_missing() -> None:
    program = """
import sys
from maieutic.errors import ConfigError
from maieutic.llm.registry import resolve_model
from maieutic.settings import Settings
try:
    resolve_model("mistral/m", Settings(), {})
except ConfigError as error:
    print(error, "litellm" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True)
    assert done.stdout.endswith("MISTRAL_API_KEY. False\n"), done.stderr


def test_ollamas_chat_is_meant_by_ollama() -> None:
    assert routed("ollama/qwen3:8b") == routed("ollama_chat/qwen3:8b") == "ollama_chat/qwen3:8b"
    assert routed("openrouter/openai/gpt-4o") == "openrouter/openai/gpt-4o"


@pytest.mark.parametrize(
    ("model", "given", "wanted"),
    [
        ("openai/m", "http://a", "http://a/v1"),
        ("openai/m", "http://a/v1/", "http://a/v1"),
        ("openai/m", "http://a/team/openai", "http://a/team/openai"),
        ("mistral/m", "http://a/", "http://a/v1"),
        ("gemini/m", "http://a:8000", "http://a:8000/v1beta"),
        ("anthropic/m", "http://a/v1", "http://a"),
        ("anthropic/m", "http://a/anthropic", "http://a/anthropic"),
        ("ollama/m", "http://a:11434/v1", "http://a:11434"),
        ("groq/m", "http://a", "http://a"),
        ("openai/m", None, None),
    ],
)
def test_a_servers_address_with_the_apis_root_or_without(model: str, given: str | None, wanted: str | None) -> None:
    assert api_root(model, given) == wanted


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"error": "model not found"}', "(404: model not found)"),
        ('[{"error": {"code": 404, "message": "not found"}}]', "(404: not found)"),
        ('{"detail": "Unauthorized"}', "(404: Unauthorized)"),
        ('{"message": {"detail": [{"loc": ["body", "top_k"], "msg": "Extra"}]}}', "(404: top_k: Extra)"),
        ("<!DOCTYPE html><title>Not\nhere</title>", "(404: an HTML page ('Not here'))"),
        ("", "(404: no reason given)"),
        ("plain\n  words.", "(404: plain words)"),
        ('{"error": {"message": "no k-123 here"}}', "(404: no *** here)"),
    ],
)
def test_what_providers_say_in_their_errors(body: str, says: str) -> None:
    error = Failures("x/m", None, "k-123").refused(404, body).error
    assert says in str(error) and "k-123" not in str(error)
