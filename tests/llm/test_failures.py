"""What goes wrong between a client and a server: retries, time-outs, cancelled calls, broken answers."""

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from maieutic.errors import BudgetExceeded, ModelError
from maieutic.llm.profile import Profile
from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.llm.server.net import LONGEST_WAIT, proxy_for, retry_after, wait_before
from maieutic.types import Completion, Delta, Request
from tests.support.server import Answer, FakeServer

REQUEST = Request(({"role": "user", "content": "hi"},))
KEY = "sk-very-secret-0123456789"


class Naps:
    """Stands in for waiting: notes how long it would have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def client(server: FakeServer, naps: Naps | None = None, **fields: Any) -> OpenAICompatibleModel:
    profile = Profile(**{"kind": "vllm", "model": "m", **fields})
    return OpenAICompatibleModel("served", profile, server.url, KEY, sleep=naps or Naps())


async def attempt(
    server: FakeServer, naps: Naps | None = None, listener: Callable[[Delta], None] | None = None, **fields: Any
) -> Completion | ModelError:
    model = client(server, naps, **fields)
    try:
        return await model.sample(REQUEST, listener)
    except ModelError as error:
        return error
    finally:
        await model.close()


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 503])
async def test_what_may_pass_is_tried_again(status: int) -> None:
    naps = Naps()
    with FakeServer([Answer(status=status), Answer(status=status), Answer("4")]) as server:
        got = await attempt(server, naps)
    assert isinstance(got, Completion) and got.text == "4"
    assert 0.25 <= naps.seconds[0] <= 0.5 <= naps.seconds[1] <= 1.0


@pytest.mark.parametrize(("status", "kind"), [(400, "refused"), (401, "refused"), (403, "refused"), (413, "refused")])
async def test_what_will_not_pass_is_not(status: int, kind: str) -> None:
    naps = Naps()
    with FakeServer(Answer("no way", status=status)) as server:
        got = await attempt(server, naps)
    assert isinstance(got, ModelError)
    assert (got.kind, got.status, got.retryable) == (kind, status, False)
    assert "no way" in str(got) and server.url in str(got)
    assert len(server.requests) == 1 and naps.seconds == []


async def test_retries_end() -> None:
    naps = Naps()
    with FakeServer(Answer("busy", status=503)) as server:
        got = await attempt(server, naps, retries=2)
    assert isinstance(got, ModelError)
    assert (got.kind, got.status, got.retryable) == ("overloaded", 503, True)
    assert len(server.requests) == 3 and len(naps.seconds) == 2


async def test_retry_after_is_honoured_in_both_forms_and_capped() -> None:
    naps = Naps()
    date = formatdate(time.time() + 10, usegmt=True)
    answers = [Answer(status=429, headers={"Retry-After": value}) for value in ("2.5", date, "100000", "soon")]
    with FakeServer([*answers, Answer("4")]) as server:
        await attempt(server, naps)
    assert naps.seconds[0] == pytest.approx(2.55, abs=0.06)
    assert naps.seconds[1] == pytest.approx(9.5, abs=1.5)
    assert naps.seconds[2] == LONGEST_WAIT
    assert naps.seconds[3] <= 4.0


def test_waiting_grows_and_is_spread() -> None:
    waits = [wait_before(n, None) for n in (1, 5, 30)]
    assert waits[0] <= 0.5 and 4.0 <= waits[1] <= 8.0 and LONGEST_WAIT / 2 <= waits[2] <= LONGEST_WAIT
    assert len({wait_before(3, None) for _ in range(10)}) == 10
    assert retry_after(httpx.Headers({"retry-after": "-3"})) == 0.0


async def test_nobody_there_is_said_at_once_with_what_to_do() -> None:
    with FakeServer() as server:
        pass
    naps = Naps()
    got = await attempt(server, naps)
    assert isinstance(got, ModelError) and got.kind == "unreachable" and got.retryable
    assert str(got).startswith(f"Nothing answers at {server.url} (") and "`maieutic model up`" in str(got)
    assert naps.seconds == []


async def test_a_host_that_does_not_exist_is_unreachable() -> None:
    model = OpenAICompatibleModel("x", Profile(kind="vllm", model="m"), "http://nobody.invalid:8000")
    with pytest.raises(ModelError, match="Nothing answers at http://nobody.invalid:8000/v1"):
        await model.sample(REQUEST)
    await model.close()


async def test_an_idle_connection_that_the_server_closed_is_replaced_at_once() -> None:
    naps = Naps()
    with FakeServer([Answer("1"), Answer(cut_after=0), Answer("2")]) as server:
        model = client(server, naps)
        texts = [(await model.sample(REQUEST)).text for _ in range(2)]
        await model.close()
    assert texts == ["1", "2"]
    assert naps.seconds == []


async def test_a_server_that_always_hangs_up_is_reported_as_such() -> None:
    naps = Naps()
    with FakeServer(Answer(cut_after=0)) as server:
        got = await attempt(server, naps, retries=1)
    assert isinstance(got, ModelError) and got.kind == "cut" and got.retryable
    assert "closed the connection without an answer" in str(got)
    assert len(server.requests) == 3 and len(naps.seconds) == 1


async def test_an_answer_cut_in_the_middle_is_tried_again_until_a_piece_was_passed_on() -> None:
    with FakeServer([Answer("hello", cut_after=1), Answer("hello")]) as server:
        plain = await attempt(server)
    assert isinstance(plain, Completion) and plain.text == "hello"

    with FakeServer([Answer("hello", cut_after=1), Answer("hello")]) as server:  # the first chunk holds no token
        unheard = await attempt(server, listener=lambda delta: None)
    assert isinstance(unheard, Completion) and unheard.text == "hello"

    deltas: list[Delta] = []
    with FakeServer([Answer("hello", cut_after=2), Answer("hello")]) as server:
        heard = await attempt(server, listener=deltas.append)
    assert isinstance(heard, ModelError) and heard.kind == "cut"
    assert [d.text for d in deltas] == ["hell"] and len(server.requests) == 1


async def test_a_stream_that_just_ends_is_cut() -> None:
    with FakeServer(Answer("hello", finish_reason=None, done=False, usage=False)) as server:
        got = await attempt(server, listener=lambda delta: None)
    assert isinstance(got, ModelError) and got.kind == "cut"


async def test_an_error_inside_a_stream_is_an_error() -> None:
    body = b'data: {"error": {"message": "the engine died", "code": 500}}\n\n'
    with FakeServer([Answer(body=body), Answer("4")]) as server:
        again = await attempt(server, listener=lambda delta: None)
    assert isinstance(again, Completion) and again.text == "4"
    with FakeServer(Answer(body=body)) as server:
        got = await attempt(server, listener=lambda delta: None, retries=0)
    assert isinstance(got, ModelError) and "the engine died" in str(got) and got.status == 500


@pytest.mark.parametrize("body", [b"<html>busy</html>", b"[1]", b'{"choices": null}', b'{"choices": []}', b'{"x'])
@pytest.mark.parametrize("stream", [False, True])
async def test_nonsense_is_malformed(body: bytes, stream: bool) -> None:
    data = b"data: " + body + b"\n\ndata: [DONE]\n\n" if stream else body
    with FakeServer(Answer(body=data)) as server:
        got = await attempt(server, listener=(lambda delta: None) if stream else None)
    assert isinstance(got, ModelError) and got.kind == "malformed"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_late_first_byte_times_out(stream: bool) -> None:
    with FakeServer(Answer(delay=5, chunk_delay=5)) as server:
        listener = (lambda delta: None) if stream else None
        got = await attempt(server, listener=listener, timeouts={"first_byte": 0.1})
        assert await server.until(lambda: len(server.disconnects) == 1, 0.5)
    assert isinstance(got, ModelError) and got.kind == "timeout"
    assert "did not begin to answer within 0.1 s: raise timeouts.first_byte" in str(got)


async def test_the_head_of_a_stream_is_not_its_first_byte() -> None:
    with FakeServer(Answer(chunk_delay=5)) as server:  # the head comes at once
        got = await attempt(server, listener=lambda delta: None, timeouts={"first_byte": 0.1})
    assert isinstance(got, ModelError) and "did not begin to answer" in str(got)


async def test_a_gap_in_a_stream_times_out_but_a_long_stream_does_not() -> None:
    with FakeServer(Answer("a" * 40, piece=4, chunk_delay=0.05)) as server:
        slow = await attempt(server, listener=lambda delta: None, timeouts={"first_byte": 5, "between": 0.4})
        gap = await attempt(server, listener=lambda delta: None, timeouts={"first_byte": 5, "between": 0.01})
    assert isinstance(slow, Completion)
    assert isinstance(gap, ModelError) and gap.kind == "timeout"
    assert "stopped in the middle of its answer for 0.01 s" in str(gap)


async def test_the_whole_call_times_out_with_its_retries() -> None:
    with FakeServer(Answer(delay=0.05, status=503)) as server:
        got = await attempt(server, retries=10_000, timeouts={"total": 0.3})
    assert isinstance(got, ModelError) and got.kind == "timeout" and "within 0.3 s" in str(got)
    assert len(server.requests) > 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancelled_call_closes_its_connection(stream: bool) -> None:
    heard: list[Delta] = []
    answer = Answer("x" * 4000, chunk_delay=0.02) if stream else Answer(delay=30)
    with FakeServer(answer) as server:
        model = client(server)
        task = asyncio.create_task(model.sample(REQUEST, heard.append if stream else None))
        assert await server.until(lambda: bool(heard if stream else server.running))
        cancelled = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await server.until(lambda: len(server.disconnects) == 1, 2.0)
        await model.close()
    assert server.disconnects[0] - cancelled < 0.5


async def test_what_the_listener_raises_ends_the_call_and_comes_out() -> None:
    def listener(delta: Delta) -> None:
        raise BudgetExceeded("tokens", "enough")

    def broken(delta: Delta) -> None:
        raise BrokenPipeError("the terminal is gone")

    with FakeServer(Answer("x" * 4000, chunk_delay=0.02)) as server:
        model = client(server)
        with pytest.raises(BudgetExceeded, match="enough"):
            await model.sample(REQUEST, listener)
        assert await server.until(lambda: len(server.disconnects) == 1, 0.5)
        with pytest.raises(BrokenPipeError):
            await model.sample(REQUEST, broken)
        await model.close()
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 429])
async def test_keys_are_never_shown(status: int) -> None:
    with FakeServer(Answer(f"the key {KEY} is bad", status=status)) as server:
        model = client(server, retries=0)
        with pytest.raises(ModelError) as caught:
            await model.sample(REQUEST)
        await model.close()
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    for text in (str(caught.value), repr(caught.value), repr(model), repr(vars(caught.value))):
        assert "secret" not in text


async def test_other_transports_fail_in_the_same_words() -> None:
    with FakeServer() as server:
        pass
    profile = Profile(kind="vllm", model="m", retries=0)
    model = OpenAICompatibleModel("x", profile, server.url, transport=httpx.AsyncHTTPTransport)
    with pytest.raises(ModelError, match="Nothing answers at"):
        await model.sample(REQUEST)
    await model.close()
    with FakeServer(Answer(cut_after=0)) as server:
        model = OpenAICompatibleModel("x", profile, server.url, transport=httpx.AsyncHTTPTransport)
        with pytest.raises(ModelError) as caught:
            await model.sample(REQUEST)
        await model.close()
    assert caught.value.kind == "cut"


def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_for(httpx.URL("http://gpu1:8000/v1")) is None
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "gpu2")
    proxy = proxy_for(httpx.URL("http://gpu1:8000/v1"))
    assert proxy is not None and proxy.url == "http://proxy:3128"
    assert proxy_for(httpx.URL("http://gpu2:8000/v1")) is None
    assert proxy_for(httpx.URL("http://localhost:8000/v1")) is None
