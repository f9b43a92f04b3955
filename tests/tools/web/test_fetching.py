"""Fetching from servers that don't behave: every way to fail is one sentence, within a bound of size and time."""

import asyncio
import gzip
import re
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import zstandard
from httpx import URL
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from maieutic.errors import ToolError
from maieutic.tools.web.fetching import Fetcher, Limits
from maieutic.tools.web.reader import Reader
from maieutic.tools.web.robots import Robots
from maieutic.tools.web.traffic import Traffic
from maieutic.tools.web.unpacking import Unpacking
from maieutic.tools.web.urls import Allowed
from tests.tools.web.conftest import article, fetcher_for

MIB = 2**20


@asynccontextmanager
async def raw_server(*parts: bytes, forever: bytes = b"", hang: bool = False) -> AsyncIterator[tuple[str, Fetcher]]:
    """A server that writes these bytes to whoever connects, then `forever`, or hangs, or closes; and its fetcher."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                writer.write(part)
            await writer.drain()
            while forever:
                writer.write(forever)
                await writer.drain()
            if hang:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    limits = Limits(connect=20, read=20 if not hang else 0.2, total=60, size=MIB)
    try:
        yield f"http://127.0.0.1:{port}/", Fetcher(allowed=Allowed.of(["127.0.0.1"]), robots=False, limits=limits)
    finally:
        server.close()
        await server.wait_closed()


async def test_a_page_that_never_ends_is_read_up_to_the_limit() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n"
    async with raw_server(head, forever=b"again and again " * 1000) as (url, fetcher):
        answer = (await fetcher.fetch(url)).answer
    assert len(answer.body) == MIB and answer.cut == "only its first 1 MiB were read"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate"])
async def test_a_bomb_is_unpacked_up_to_the_limit(encoding: str, site: HTTPServer) -> None:
    window = {"gzip": 31, "deflate": 15, "raw deflate": -15}[encoding]
    packer = zlib.compressobj(9, zlib.DEFLATED, window)
    bomb = packer.compress(bytes(64 * MIB)) + packer.flush()
    assert len(bomb) < MIB // 8
    unpacking = Unpacking(encoding.split()[-1], MIB)
    unpacking.take(bomb)
    assert MIB < len(unpacking.body) < 2 * MIB
    site.expect_request("/").respond_with_data(bomb, headers={"content-encoding": encoding.split()[-1]})
    answer = (await fetcher_for(site, limits=Limits(size=MIB)).fetch(site.url_for("/"))).answer
    assert len(answer.body) == MIB and answer.cut is not None


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "unheard-of"])
async def test_an_encoding_that_was_not_asked_for_is_refused(encoding: str, site: HTTPServer) -> None:
    body = zstandard.ZstdCompressor().compress(bytes(64 * MIB))
    site.expect_request("/").respond_with_data(body, headers={"content-encoding": encoding})
    with pytest.raises(ToolError, match="not asked for"):
        await fetcher_for(site).fetch(site.url_for("/"))


def test_packed_bodies_come_back_whole() -> None:
    text = article().encode()
    two = gzip.compress(text[:300]) + gzip.compress(text[300:]) + bytes(16)
    for packed, encoding in [(two, "gzip"), (zlib.compress(text), "deflate"), (text, "identity"), (text, "")]:
        unpacking = Unpacking(encoding, MIB)
        for at in range(0, len(packed), 7):
            unpacking.take(packed[at : at + 7])
        assert bytes(unpacking.body) == text and unpacking.complete
    half = Unpacking("gzip", MIB)
    half.take(gzip.compress(text)[:100])
    assert not half.complete
    with pytest.raises(ToolError, match="can't be unpacked"):
        Unpacking("gzip", MIB).take(b"this is not gzip at all")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"], "cut before the page was complete"),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: nonsense\r\n\r\nx"], "does not answer as a web server"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n"], "does not answer as a web server"),
        ([b""], "does not answer as a web server"),
        ([b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000], "does not answer as a web server"),
    ],
)
async def test_servers_that_are_none(parts: list[bytes], said: str) -> None:
    async with raw_server(*parts) as (url, fetcher):
        with pytest.raises(ToolError, match=said):
            await fetcher.fetch(url)


async def test_a_server_that_falls_silent() -> None:
    async with raw_server(b"HTTP/1.1 200 OK\r\n\r\nbegin", hang=True) as (url, fetcher):
        with pytest.raises(ToolError, match=r"sent nothing for 0\.2 s"):
            await fetcher.fetch(url)


async def test_a_page_that_does_not_come_in_time() -> None:
    async with raw_server(b"HTTP/1.1 200 OK\r\n\r\n", hang=True) as (url, _):
        limits = Limits(read=60, total=0.3)
        with pytest.raises(ToolError, match=r"longer than 0\.3 s"):
            await Fetcher(allowed=Allowed.of(["127.0.0.1"]), robots=False, limits=limits).fetch(url)


async def test_nobody_there_and_no_such_name() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    fetcher = Fetcher(allowed=Allowed.of(["127.0.0.1", "nobody.invalid"]), robots=False)
    with pytest.raises(ToolError, match="can't be read: "):
        await fetcher.fetch(f"http://127.0.0.1:{port}/")
    with pytest.raises(ToolError, match="name nobody.invalid is not known"):
        await fetcher.fetch("http://nobody.invalid/")


async def test_redirects_are_followed_and_loops_are_not(site: HTTPServer) -> None:
    def away(to: str) -> Response:
        return Response(status=302, headers={"location": to})

    site.expect_request("/a").respond_with_response(away("b?x=1#part"))
    site.expect_request("/b").respond_with_data("arrived", content_type="text/plain")
    site.expect_request("/loop").respond_with_response(away("/pool"))
    site.expect_request("/pool").respond_with_response(away("/loop"))
    fetched = await fetcher_for(site).fetch(site.url_for("/a"))
    assert fetched.url == site.url_for("/b?x=1") and fetched.answer.body == b"arrived"
    with pytest.raises(ToolError, match="back to itself"):
        await fetcher_for(site).fetch(site.url_for("/loop"))

    def on(request: Request) -> Response:
        return away(f"/on/{int(request.path.rpartition('/')[2]) + 1}")

    site.expect_request(re.compile(r"^/on/\d+$")).respond_with_handler(on)
    with pytest.raises(ToolError, match="from page to page"):
        await fetcher_for(site).fetch(site.url_for("/on/0"))


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "asks for a login"),
        (403, "does not let programs read it"),
        (404, "does not exist"),
        (418, "answers with HTTP 418"),
        (500, "trouble of its own"),
        (204, "is empty"),
    ],
)
async def test_an_answer_that_is_no_page(status: int, said: str, site: HTTPServer) -> None:
    site.expect_request("/").respond_with_response(Response("no", status=status))
    with pytest.raises(ToolError, match=said):
        await Reader(fetcher_for(site)).page(site.url_for("/"))


async def test_too_many_requests_says_how_long(site: HTTPServer) -> None:
    site.expect_request("/").respond_with_response(Response("no", status=429, headers={"retry-after": "120"}))
    with pytest.raises(ToolError, match="too many requests .HTTP 429., and asks to wait 120 s"):
        await Reader(fetcher_for(site)).page(site.url_for("/"))


RULES = "User-agent: *\nDisallow: /private\nCrawl-delay: 0.01\n\nUser-agent: maieutic\nDisallow: /ours\n"


async def test_robots_txt_is_heeded_and_asked_once(site: HTTPServer) -> None:
    site.expect_ordered_request("/robots.txt").respond_with_data(RULES)
    for path in ("/private/a", "/open"):
        site.expect_ordered_request(path).respond_with_data("text", content_type="text/plain")
    fetcher = fetcher_for(site, robots=True)
    with pytest.raises(ToolError, match=r"robots\.txt"):
        await fetcher.fetch(site.url_for("/ours/x"))
    for path in ("/private/a", "/open"):
        assert (await fetcher.fetch(site.url_for(path))).answer.body == b"text"
    stranger = fetcher_for(site, robots=True, agent="other/2")
    site.clear()
    site.expect_request("/robots.txt").respond_with_data(RULES)
    with pytest.raises(ToolError, match=r"robots\.txt"):
        await stranger.fetch(site.url_for("/private/a"))
    site.expect_request("/private/a").respond_with_data("text")
    assert (await fetcher_for(site, agent="other/2").fetch(site.url_for("/private/a"))).answer.status == 200


@pytest.mark.parametrize(("status", "allowed"), [(404, True), (403, True), (500, False), (503, False), (429, False)])
async def test_a_robots_txt_that_is_not_there(status: int, allowed: bool, site: HTTPServer) -> None:
    site.expect_request("/robots.txt").respond_with_response(Response("User-agent: *\nDisallow: /", status=status))
    site.expect_request("/a").respond_with_data("text")
    fetcher = fetcher_for(site, robots=True)
    if allowed:
        assert (await fetcher.fetch(site.url_for("/a"))).answer.body == b"text"
    else:
        with pytest.raises(ToolError, match="try later"):
            await fetcher.fetch(site.url_for("/a"))


async def test_robots_txt_is_read_again_after_a_day(site: HTTPServer) -> None:
    fetcher = fetcher_for(site)
    now = 0.0
    robots = Robots(fetcher._robots_of, "maieutic", lambda: now)
    site.expect_oneshot_request("/robots.txt").respond_with_data("User-agent: *\nDisallow: /")
    url = URL(site.url_for("/a"))
    with pytest.raises(ToolError):
        await robots.check(url)
    now = 80_000.0
    with pytest.raises(ToolError):
        await robots.check(url)
    site.expect_oneshot_request("/robots.txt").respond_with_data("")
    now = 90_000.0
    assert await robots.check(url) == 0


async def test_only_so_many_requests_at_once() -> None:
    traffic, under_way, most = Traffic(overall=3, per_host=2), {"a": 0, "b": 0}, {"a": 0, "b": 0, "all": 0}

    async def one(host: str) -> None:
        async with traffic.turn(host):
            under_way[host] += 1
            most[host] = max(most[host], under_way[host])
            most["all"] = max(most["all"], sum(under_way.values()))
            await asyncio.sleep(0.01)
            under_way[host] -= 1

    await asyncio.gather(*(one(host) for host in "ab" * 6))
    assert most == {"a": 2, "b": 2, "all": 3}


async def test_a_host_is_left_alone_between_two_requests() -> None:
    traffic, loop = Traffic(delay=0.05), asyncio.get_running_loop()
    starts: list[float] = []

    async def one() -> None:
        async with traffic.turn("a"):
            starts.append(loop.time())

    begun = loop.time()
    await asyncio.gather(*(one() for _ in range(4)))
    assert all(start - begun >= 0.05 * number - 0.01 for number, start in enumerate(starts))
