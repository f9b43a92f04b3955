"""The connections to a server: aiohttp's own and an httpx transport's give the same answers."""

import asyncio
import base64
import gzip

import httpx
import pytest

from maieutic.llm.server.connections import Connections, TransportFactory
from tests.support.raw_server import ANSWER, RawServer, chunked, read_request, response

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


def connections_to(url: str, transport: TransportFactory | None = None, **options: bool) -> Connections:
    return Connections(httpx.URL(url), {"x-test": "1"}, 10.0, transport, **options)


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
        connections = connections_to(server.url, reuse=False)
        assert [await body_of(connections, server.url) for _ in range(3)] == [ANSWER] * 3
        await connections.close()
    assert server.connections == 3


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
