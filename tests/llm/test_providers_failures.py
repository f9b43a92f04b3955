"""What goes wrong at a provider: each one's own error bodies, rate limits, time-outs, cut streams, malformed answers.

Slow: importing litellm takes seconds.
"""

import asyncio
import gc
import json
import socket
from typing import Any

import pytest

from maieutic.errors import ModelError
from maieutic.llm.profile import Profile
from maieutic.types import Completion, Delta, Request, Sampling
from tests.support.provider_servers import KEY, ProviderServer, Said

pytestmark = [pytest.mark.slow]
NAMES = {
    "openai": "openai/gpt-4o",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-2.5-flash",
    "ollama": "ollama/m",
    "mistral": "mistral/mistral-large-latest",
}
PROVIDERS = list(NAMES)
REQUEST = Request(({"role": "user", "content": "hi"},), Sampling(logprobs=False))
BOTH_WAYS = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
# The server in the test may not have accepted yet what the client has given up already.
LEFT_EARLY = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
EACH = pytest.mark.parametrize("provider", PROVIDERS)


async def attempt(
    server: ProviderServer, name: str, stream: bool = False, naps: list[float] | None = None, **fields: Any
) -> Completion | ModelError:
    """One call, without retries unless the profile's fields say so; nothing it says may hold the key."""
    from maieutic.llm.providers import ProviderModel

    async def sleep(seconds: float) -> None:
        if naps is not None:
            naps.append(seconds)

    profile = Profile(**{"kind": "litellm", "model": name, "base_url": server.url, "retries": 0, **fields})
    asked = ProviderModel(name, profile, KEY, sleep)
    try:
        got: Completion = await asked.sample(REQUEST, (lambda delta: None) if stream else None)
        return got
    except ModelError as error:
        assert "secret" not in str(error)
        assert str(error).startswith(name) and str(error).endswith(".") and "\n" not in str(error)
        return error
    finally:
        await asked.close()


def facts(got: Completion | ModelError) -> tuple[str, int | None, bool]:
    assert isinstance(got, ModelError)
    return got.kind, got.status, got.retryable


@pytest.mark.parametrize(
    ("status", "kind", "retryable", "says"),
    [
        (400, "refused", False, "refused the request (400: too long by 7 tokens)"),
        (403, "refused", False, "does not accept the key (403"),
        (429, "overloaded", True, "limits the rate of requests (429"),
        (500, "refused", True, "refused the request (500"),
        (503, "overloaded", True, "is overloaded (503"),
        (529, "overloaded", True, "is overloaded (529"),
    ],
)
@BOTH_WAYS
@EACH
async def test_a_refusal_in_the_providers_own_words(
    provider: str, stream: bool, status: int, kind: str, retryable: bool, says: str
) -> None:
    with ProviderServer(provider, Said("too long by 7 tokens", status=status)) as server:
        got = await attempt(server, NAMES[provider], stream)
    assert facts(got) == (kind, status, retryable)
    assert says in str(got) and "too long by 7 tokens" in str(got)
    assert len(server.requests) == 1  # nobody repeats it but us


@BOTH_WAYS
@EACH
async def test_a_wrong_key_names_the_variable(provider: str, stream: bool) -> None:
    variable = {"gemini": "GEMINI_API_KEY"}.get(provider, f"{provider.upper()}_API_KEY")
    with ProviderServer(provider, key="another") as server:
        got = await attempt(server, NAMES[provider], stream)
    assert facts(got) == ("refused", 400 if provider == "gemini" else 401, False)
    assert "does not accept the key" in str(got) and f"check {variable}" in str(got)


@EACH
async def test_an_unknown_model_is_the_providers_own_404(provider: str) -> None:
    with ProviderServer(provider) as server:
        got = await attempt(server, f"{provider}/no-such-model")
    assert isinstance(got, ModelError) and got.kind == "refused" and not got.retryable
    assert "no-such-model" in str(got)
    if provider == "mistral":  # it calls this a bad request
        assert got.status == 400 and "Invalid model" in str(got)
    else:
        assert got.status == 404 and "has no such model" in str(got)


@BOTH_WAYS
@EACH
async def test_a_rate_limit_is_waited_for_as_long_as_it_says(provider: str, stream: bool) -> None:
    naps: list[float] = []
    script = [Said(status=429, headers={"Retry-After": "3"}), Said(status=429, headers={"Retry-After": "900"}), Said()]
    with ProviderServer(provider, script) as server:
        got = await attempt(server, NAMES[provider], stream, naps, retries=2)
    assert isinstance(got, Completion) and got.text == "hello there"
    assert naps == [pytest.approx(3.05, abs=0.06), 60.0]
    assert len(server.requests) == 3


async def test_gemini_says_how_long_to_wait_in_the_body() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"}]
    error = {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED", "details": details}
    with ProviderServer("gemini", Said(status=429, body=json.dumps({"error": error}).encode())) as server:
        got = await attempt(server, NAMES["gemini"])
    assert isinstance(got, ModelError) and got.wait == 7.5 and "Quota exceeded" in str(got)


async def test_a_used_up_quota_is_not_waited_for() -> None:
    error = {"message": "You exceeded your current quota.", "type": "insufficient_quota", "code": "insufficient_quota"}
    with ProviderServer("openai", Said(status=429, body=json.dumps({"error": error}).encode())) as server:
        got = await attempt(server, NAMES["openai"], retries=3)
    assert facts(got) == ("refused", 429, False) and len(server.requests) == 1


@EACH
async def test_what_may_pass_is_tried_again_and_retries_end(provider: str) -> None:
    naps: list[float] = []
    with ProviderServer(provider, [Said(status=503), Said(status=500), Said()]) as server:
        got = await attempt(server, NAMES[provider], naps=naps, retries=1)
        assert facts(got) == ("refused", 500, True) and len(server.requests) == 2 and len(naps) == 1
        assert isinstance(await attempt(server, NAMES[provider]), Completion)


@LEFT_EARLY
@BOTH_WAYS
@EACH
async def test_no_answer_in_time(provider: str, stream: bool) -> None:
    with ProviderServer(provider, Said(delay=60)) as server:
        got = await attempt(server, NAMES[provider], stream, timeouts={"first_byte": 0.2}, retries=3)
        assert await server.until(lambda: server.running == 0)
    assert facts(got) == ("timeout", None, True)
    assert "did not begin to answer within 0.2 s: raise timeouts.first_byte" in str(got)
    gc.collect()
    assert len(server.disconnects) == len(server.requests) <= 1  # a slow answer would be as slow again


@EACH
async def test_an_answer_that_stalls(provider: str) -> None:
    with ProviderServer(provider, Said("x" * 40, stall=60, stall_after=5)) as server:
        got = await attempt(server, NAMES[provider], True, timeouts={"between": 0.5})
        assert await server.until(lambda: len(server.disconnects) == 1)
    assert facts(got) == ("timeout", None, True)
    assert "stopped in the middle of its answer for 0.5 s: raise timeouts.between" in str(got)


@LEFT_EARLY
@BOTH_WAYS
@EACH
async def test_too_long_in_all(provider: str, stream: bool) -> None:
    with ProviderServer(provider, Said("x" * 4000, delay=0.0 if stream else 60, chunk_delay=0.02)) as server:
        got = await attempt(server, NAMES[provider], stream, timeouts={"total": 0.5})
        assert await server.until(lambda: server.running == 0)
    gc.collect()
    assert facts(got) == ("timeout", None, True) and "within 0.5 s: raise timeouts.total" in str(got)


@pytest.mark.parametrize("clean", [False, True], ids=["reset", "closed"])
@EACH
async def test_a_stream_that_is_cut(provider: str, clean: bool) -> None:
    with ProviderServer(provider, Said("x" * 40, cut_after=5, clean_cut=clean)) as server:
        got = await attempt(server, NAMES[provider], True, retries=3)
    assert facts(got) == ("cut", None, True) and "broke off in the middle of its answer" in str(got)
    if clean:  # a reset may take with it what was on its way: then nothing has been passed on
        assert len(server.requests) == 1  # what has been passed on can't be taken back


@EACH
async def test_a_plain_answer_that_is_cut(provider: str) -> None:
    with ProviderServer(provider, [Said(cut_after=3), Said()]) as server:
        got = await attempt(server, NAMES[provider])
        assert facts(got) == ("cut", None, True) and len(server.requests) == 1
        assert isinstance(await attempt(server, NAMES[provider]), Completion)


@BOTH_WAYS
@EACH
async def test_a_connection_that_is_closed_before_the_answer(provider: str, stream: bool) -> None:
    with ProviderServer(provider, [Said(cut_after=0), Said()]) as server:
        got = await attempt(server, NAMES[provider], stream, retries=1)
    assert isinstance(got, Completion)
    assert len(server.requests) == 2  # once by us: litellm would have asked again as well


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"", "application/json", "answered with nothing instead of JSON"),
        (b'{"id": "1", "choi', "application/json", "instead of JSON"),
        (b"[1, 2]", "application/json", "instead of JSON"),
        (b"{}", "application/json", "holds none of"),
        (b"<html><title>Sign in</title></html>", "text/html", "an HTML page ('Sign in')"),
    ],
    ids=["empty", "half", "list", "object", "html"],
)
@BOTH_WAYS
@EACH
async def test_an_answer_that_is_none(provider: str, stream: bool, body: bytes, kind: str, says: str) -> None:
    with ProviderServer(provider, Said(body=body, kind=kind)) as server:
        got = await attempt(server, NAMES[provider], stream, retries=3)
    assert facts(got) == ("malformed", None, True) and says in str(got)
    assert len(server.requests) == 1


@EACH
async def test_a_malformed_piece_of_a_stream(provider: str) -> None:
    broken = b'{"half": \n' if provider == "ollama" else b'data: {"half": \n\n'
    with ProviderServer(provider, Said("x" * 40, inject=(4, broken))) as server:
        got = await attempt(server, NAMES[provider], True)
    assert facts(got) == ("malformed", None, True) and "half" in str(got)


@BOTH_WAYS
@EACH
async def test_a_proxys_error_page(provider: str, stream: bool) -> None:
    page = b"<html>\n<head><title>502 Bad Gateway</title></head>\n<body>nginx</body></html>"
    with ProviderServer(provider, Said(status=502, body=page, kind="text/html")) as server:
        got = await attempt(server, NAMES[provider], stream)
    assert facts(got) == ("overloaded", 502, True) and "an HTML page ('502 Bad Gateway')" in str(got)
    assert "<" not in str(got)


IN_STREAM = {
    "openai": (b'data: {"error": {"message": "The server had an error", "type": "server_error"}}\n\n', 500),
    "anthropic": (
        b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}\n\n',
        529,
    ),
    "gemini": (b'data: {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}\n\n', 503),
    "ollama": (b'{"error": "an error was encountered while running the model"}\n', 500),
    "mistral": (b'data: {"object": "error", "error": {"message": "Internal", "type": "api_error"}}\n\n', 500),
}


@pytest.mark.parametrize("place", [0, 4], ids=["first", "later"])
@EACH
async def test_an_error_inside_a_stream(provider: str, place: int) -> None:
    event, status = IN_STREAM[provider]
    with ProviderServer(provider, Said("x" * 40, inject=(place, event))) as server:
        got = await attempt(server, NAMES[provider], True)
    kind = "refused" if status == 500 else "overloaded"
    assert facts(got) == (kind, status, True)
    assert ("verload" if status != 500 else "500: ") in str(got)


@EACH
async def test_nobody_there(provider: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        server: Any = type("Nobody", (), {"url": f"http://127.0.0.1:{taken.getsockname()[1]}/v1"})
        naps: list[float] = []
        got = await attempt(server, NAMES[provider], naps=naps, retries=2)
    assert facts(got) == ("unreachable", None, True) and "can't be reached" in str(got) and naps == []
    assert ("ollama serve" in str(got)) == (provider == "ollama")


@EACH
async def test_nothing_is_printed(provider: str, capfd: pytest.CaptureFixture[str]) -> None:
    with ProviderServer(provider, [Said(), Said("no way", status=400), Said("x" * 40, cut_after=4)]) as server:
        for stream in (False, True, True):
            await attempt(server, NAMES[provider], stream)
    await asyncio.sleep(0)
    assert capfd.readouterr() == ("", "")


@EACH
async def test_many_calls_at_once_are_kept_apart(provider: str) -> None:
    """Each call sees its own exchange, whatever happens in the others."""
    from maieutic.llm.providers import ProviderModel

    script = [Said("one", chunk_delay=0.01), Said("no way", status=400), Said("x" * 40, cut_after=4), Said("four")] * 5
    with ProviderServer(provider, script) as server:
        profile = Profile(kind="litellm", model=NAMES[provider], base_url=server.url, retries=0)
        asked = ProviderModel(provider, profile, KEY)
        heard: list[Delta] = []
        calls = [asked.sample(REQUEST, heard.append) for _ in script]
        got = await asyncio.gather(*calls, return_exceptions=True)
        await asked.close()
    texts = sorted(c.text for c in got if isinstance(c, Completion))
    kinds = sorted(e.kind for e in got if isinstance(e, ModelError))
    assert texts == ["four"] * 5 + ["one"] * 5 and kinds == ["cut"] * 5 + ["refused"] * 5


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # a loop ends with its connections open
def test_one_event_loop_after_another() -> None:
    from maieutic.llm.providers import ProviderModel

    with ProviderServer("anthropic") as server:
        profile = Profile(kind="litellm", model=NAMES["anthropic"], base_url=server.url)
        asked = ProviderModel("claude", profile, KEY)
        assert asyncio.run(asked.sample(REQUEST)).text == "hello there"
        assert asyncio.run(asked.sample(REQUEST, lambda delta: None)).text == "hello there"

        async def last() -> str:
            text: str = (await asked.sample(REQUEST)).text
            await asked.close()
            return text

        assert asyncio.run(last()) == "hello there"
    gc.collect()
