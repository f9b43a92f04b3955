"""The connections to a server: aiohttp's own and an httpx transport's give the same answers."""

import asyncio
import base64
import gzip
import threading

import httpx
import pytest

from maieutic.llm.profile import Profile, Timeouts
from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.llm.server.connections import Connections, TransportFactory
from maieutic.types import Request
from tests.support.raw_server import ANSWER, RawServer, chunked, read_request, response

REQUEST = Request(({"role": "user", "content": "hi"},))
LARGE = pytest.mark.filterwarnings("ignore:Sending a large body")
BOTH = pytest.mark.parametrize("transport", [None, httpx.AsyncHTTPTransport], ids=["aiohttp", "httpx"])


async def body_of(connections: Connections, url: str) -> bytes:
    reply = await connections.get().send("POST", f"{url}/chat/completions", b"{}")
    body = b""
    try:
        while piece := await reply.piece():
            body += piece
    finally:
        await reply.close()
    return body


def connections_to(
    url: str, transport: TransportFactory | None = None, idle: float | None = 3.0, connect: float = 10.0
) -> Connections:
    return Connections(httpx.URL(url), {"x-test": "1"}, connect, idle, transport)


def always(data: bytes) -> RawServer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(data)

    return RawServer(answer)


@BOTH
@pytest.mark.parametrize(
    "data",
    [
        response(),
        chunked(ANSWER[:7], ANSWER[7:]) + b"0\r\n\r\n",
        response(gzip.compress(ANSWER), "Content-Encoding: gzip"),
    ],
    ids=["whole", "chunked", "compressed"],
)
async def test_bodies_arrive_whole_over_one_connection(data: bytes, transport: TransportFactory | None) -> None:
    with always(data) as server:
        connections = connections_to(server.url, transport)
        assert [await body_of(connections, server.url) for _ in range(3)] == [ANSWER] * 3
        await connections.close()
    assert server.connections == 1


async def test_without_reuse_every_request_has_a_connection_of_its_own() -> None:
    with always(response()) as server:
        connections = connections_to(server.url, idle=None)
        assert [await body_of(connections, server.url) for _ in range(3)] == [ANSWER] * 3
        await connections.close()
    assert server.connections == 3


async def test_a_connection_is_kept_for_as_long_as_the_profile_says() -> None:
    found: list[int] = []
    for idle in (0.1, 30.0):
        with always(response()) as server:
            model = OpenAICompatibleModel(
                "m", Profile(kind="vllm", model="m", timeouts=Timeouts(idle=idle)), server.url
            )
            await model.sample(REQUEST)
            await asyncio.sleep(0.5)
            await model.sample(REQUEST)
            await model.close()
        found.append(server.connections)
    assert found == [2, 1]


async def test_a_request_goes_out_before_the_next_one_is_prepared() -> None:
    arrived = threading.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while body := await read_request(reader):
            if body == b"first":
                arrived.set()
            writer.write(response())

    async def prepared() -> bool:
        return arrived.wait(10)  # holds up the event loop, as work does

    with RawServer(answer) as server:
        connections, url = connections_to(server.url), f"{server.url}/chat/completions"
        await body_of(connections, server.url)
        first = asyncio.create_task(connections.get().send("POST", url, b"first"))
        second = asyncio.create_task(prepared())
        assert await second
        await (await first).close()
        await connections.close()


@LARGE
async def test_a_large_request_is_written_while_the_server_reads_it() -> None:
    sizes: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(0.2)
            sizes.append(len(await read_request(reader)))
            writer.write(response())

    with RawServer(answer) as server:
        connections = connections_to(server.url)
        for size in (20_000_000, 3):
            reply = await connections.get().send("POST", f"{server.url}/chat/completions", b"x" * size)
            assert await reply.piece() == ANSWER
            await reply.close()
        await connections.close()
    assert sizes == [20_000_000, 3] and server.connections == 1


@LARGE
async def test_a_large_request_that_is_given_up_half_way_ends_its_connection() -> None:
    ended = threading.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        while await reader.read(2**20):
            continue
        ended.set()

    with RawServer(answer) as server:
        connections = connections_to(server.url)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await connections.get().send("POST", f"{server.url}/chat/completions", b"x" * 20_000_000)
        assert await asyncio.to_thread(ended.wait, 10)
        await connections.close()


@BOTH
async def test_an_answer_left_half_way_ends_its_connection(transport: TransportFactory | None) -> None:
    with always(chunked(ANSWER)) as server:
        connections = connections_to(server.url, transport)
        for _ in range(2):
            reply = await connections.get().send("POST", f"{server.url}/chat/completions", b"{}")
            assert await reply.piece() == ANSWER
            await reply.close()
        await connections.close()
    assert server.connections == 2


async def test_the_proxy_of_the_environment_is_asked_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(response())
        await reader.read()

    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with RawServer(proxy) as server:
        monkeypatch.setenv("http_proxy", server.url.replace("http://", "http://me:secret@").removesuffix("/v1"))
        connections = connections_to("http://gpu1.invalid:8000/v1")
        assert await body_of(connections, "http://gpu1.invalid:8000/v1") == ANSWER
        await connections.close()
    assert heads[0].startswith(b"POST http://gpu1.invalid:8000/v1/chat/completions ")
    assert b"proxy-authorization: basic " + base64.b64encode(b"me:secret").lower() in heads[0].lower()
