"""What may be dialled: public addresses only, however others are written, and whatever names or redirects say."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Response

from maieutic.errors import ToolError, UserError
from maieutic.tools.web.addresses import is_public, read_address
from maieutic.tools.web.fetching import Fetcher
from maieutic.tools.web.guard import GuardedBackend, Refused
from maieutic.tools.web.urls import Allowed, read_url
from tests.tools.web.conftest import article, fetcher_for

PRIVATE = """
0.0.0.0 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.255 169.254.169.254 172.16.0.1 172.31.255.255
192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 168.63.129.16 224.0.0.1 240.0.0.1
255.255.255.255 :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b:1::1 100::1 2001:db8::1
2001:0:7f00:1:: 2001:0:4136:e378:8000:63bf:80ff:fffe 2002:7f00:1:: 2002:a9fe:a9fe:: 2600::5efe:7f00:1
2600::200:5efe:a00:1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1
""".split()
PUBLIC = "1.1.1.1 8.8.8.8 93.184.215.14 2606:4700::1111 ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::".split()


@pytest.mark.parametrize("text", PRIVATE)
def test_addresses_that_are_not_public(text: str) -> None:
    address = read_address(text)
    assert address is not None and not is_public(address)


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_that_are_public(text: str) -> None:
    address = read_address(text)
    assert address is not None and is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_as_public_as_what_is_embedded_in_it(inner: object) -> None:
    four = read_address(str(inner))
    assert four is not None
    high = int(four)  # type: ignore[arg-type]
    mapped = read_address(f"::ffff:{inner}")
    nat64 = read_address(f"64:ff9b::{high >> 16:x}:{high & 0xFFFF:x}")
    assert mapped is not None and nat64 is not None
    assert is_public(mapped) == is_public(nat64) == is_public(four)


FORMS = """
http://127.0.0.1/ http://127.1/ http://2130706433/ http://0/ http://0x7f.1/ http://0x7f000001/
http://[::1]/ http://[::]/ http://[::ffff:127.0.0.1]/ http://[64:ff9b::7f00:1]/ http://[2002:7f00:1::]/
http://[fe80::1]/ http://[fc00::1]/ http://169.254.169.254/latest/meta-data/ http://100.64.0.1/ http://localhost/
http://LOCALHOST/ https://10.0.0.1/ http://[::ffff:a9fe:a9fe]/
""".split()


@pytest.mark.parametrize("url", FORMS)
async def test_forms_of_private_addresses_are_refused_with_the_systems_own_resolver(url: str) -> None:
    with pytest.raises(ToolError, match="not on the public internet"):
        await Fetcher(robots=False).fetch(url)


@pytest.mark.parametrize("url", ["http://0177.0.0.1/", "http://localhost./", "http://127.0.0.1./", "http://①②⑦.0.0.1/"])
async def test_forms_that_not_every_resolver_knows_are_refused_one_way_or_another(url: str) -> None:
    with pytest.raises(ToolError, match="not on the public internet|is not known|not a URL"):
        await Fetcher(robots=False).fetch(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pass@example.org/",
        "http://user@example.org/",
        "http://example.org@127.0.0.1/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[v1.fe80::a]/",
        "http://example.org:22/",
        "http://example.org:6379/",
        "http://example.org:0/",
        "http://example.org:99999/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "javascript:alert(1)",
        "data:text/plain,x",
        "http:///path",
        "https://",
        "",
        "http://exa mple.org/",
        "http://example.org\\@127.0.0.1/",
        "http://example.org/\r\nHost: internal",
        "http://" + "a" * 5000,
    ],
)
def test_urls_that_are_not_opened(url: str) -> None:
    with pytest.raises(ToolError):
        read_url(url)


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("https://example.org/a?b=c#d", b"example.org", None, b"/a?b=c"),
        ("example.org/a", b"example.org", None, b"/a"),
        ("  http://example.org:8080/  ", b"example.org", 8080, b"/"),
        ("https://bücher.example/ü", b"xn--bcher-kva.example", None, b"/%C3%BC"),
    ],
)
def test_urls_that_are_opened(text: str, host: bytes, port: int | None, path: bytes) -> None:
    opened = read_url(text)
    assert (opened.raw_host, opened.port, opened.raw_path) == (host, port, path)


def answers(*addresses: str) -> Callable[[str, int], Awaitable[list[str]]]:
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve


class Dialled(httpcore.AsyncNetworkBackend):
    """Connects to nothing and says to what it would have."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    async def connect_tcp(self, host: str, port: int, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
        self.addresses.append(host)
        raise httpcore.ConnectError("nobody there")


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::1", "8.8.8.8"], ["fe80::1%2"], ["nonsense"]]
)
async def test_a_name_with_a_private_address_is_not_dialled_at_all(addresses: list[str]) -> None:
    inner = Dialled()
    with pytest.raises(Refused):
        await GuardedBackend(Allowed(), answers(*addresses), inner).connect_tcp("innocent.example", 80)
    assert inner.addresses == []


async def test_the_addresses_that_were_checked_are_the_ones_that_are_dialled() -> None:
    inner, asked = Dialled(), []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.215.14", "2606:4700::1111"] if len(asked) == 1 else ["127.0.0.1"]

    with pytest.raises(httpcore.ConnectError):
        await GuardedBackend(Allowed(), resolve, inner).connect_tcp("rebinding.example", 80)
    assert inner.addresses == ["93.184.215.14", "2606:4700::1111"]
    assert asked == ["rebinding.example"]


async def test_a_name_that_never_resolves_ends_in_time() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(httpcore.ConnectTimeout):
        await GuardedBackend(Allowed(), resolve).connect_tcp("slow.example", 80, timeout=0.05)


async def test_a_redirect_into_the_private_network_is_refused(site: HTTPServer) -> None:
    site.expect_request("/out").respond_with_response(Response(status=302, headers={"location": "http://10.0.0.1/"}))
    with pytest.raises(ToolError, match="not on the public internet"):
        await fetcher_for(site).fetch(site.url_for("/out"))
    for target in ("http://169.254.169.254/latest", "file:///etc/passwd", "//user:pw@example.org/", "http://[::1]:22/"):
        site.clear()
        site.expect_request("/out").respond_with_response(Response(status=307, headers={"location": target}))
        with pytest.raises(ToolError):
            await fetcher_for(site).fetch(site.url_for("/out"))


async def test_a_host_of_ones_own_is_read_where_it_is_allowed_and_on_that_port_only(site: HTTPServer) -> None:
    site.expect_request("/a").respond_with_data(article(), content_type="text/html")
    fetched = await fetcher_for(site).fetch(site.url_for("/a"))
    assert fetched.answer.status == 200
    other = Fetcher(allowed=Allowed.of([f"127.0.0.1:{site.port + 1}"]), robots=False)
    with pytest.raises(ToolError, match="Port"):
        await other.fetch(site.url_for("/a"))
    assert Allowed.of(["Wiki.Example.", "10.0.0.5:8000", "[::1]:80"]).has("wiki.example", 99)


@pytest.mark.parametrize("host", ["", "http://a/", "a/b", "u@h", "a b"])
def test_a_host_that_is_none_is_a_users_mistake(host: str) -> None:
    with pytest.raises(UserError, match="allow_hosts"):
        Allowed.of([host])


async def test_nothing_of_the_user_goes_to_a_page(site: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    seen = []

    def answer(request: object) -> Response:
        seen.append(dict(request.headers))  # type: ignore[attr-defined]
        away = Response(status=302, headers={"location": "/b", "set-cookie": "id=1"})
        return away if len(seen) == 1 else Response("text", mimetype="text/plain")

    site.expect_request("/a").respond_with_handler(answer)
    site.expect_request("/b").respond_with_handler(answer)
    await fetcher_for(site, agent="tester/1").fetch(site.url_for("/a"))
    assert len(seen) == 2
    for headers in seen:
        assert headers["User-Agent"] == "tester/1"
        assert {name.lower() for name in headers} <= {"host", "accept", "accept-encoding", "connection", "user-agent"}


async def test_the_name_in_the_certificate_is_checked_and_sent(tls_site: tuple[HTTPServer, ssl.SSLContext]) -> None:
    site, trust = tls_site
    site.expect_request("/a").respond_with_data("secure text", content_type="text/plain")
    names = Allowed.of(["right.example", "wrong.example"])
    backend = GuardedBackend(names, answers("127.0.0.1"))
    fetcher = Fetcher(allowed=names, robots=False, backend=backend, tls=trust)
    fetched = await fetcher.fetch(f"https://right.example:{site.port}/a")
    assert fetched.answer.body == b"secure text"
    with pytest.raises(ToolError, match="certificate is not valid"):
        await fetcher.fetch(f"https://wrong.example:{site.port}/a")


async def test_https_does_not_lead_to_http(tls_site: tuple[HTTPServer, ssl.SSLContext]) -> None:
    site, trust = tls_site
    away = Response(status=301, headers={"location": "http://right.example/b"})
    site.expect_request("/a").respond_with_response(away)
    names = Allowed.of(["right.example"])
    fetcher = Fetcher(allowed=names, robots=False, backend=GuardedBackend(names, answers("127.0.0.1")), tls=trust)
    with pytest.raises(ToolError, match="from https to plain http"):
        await fetcher.fetch(f"https://right.example:{site.port}/a")
