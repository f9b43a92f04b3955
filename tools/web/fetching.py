"""Fetching a page through the guard: robots.txt asked first, redirects followed one by one, size and time bounded."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpcore
import httpx

from maieutic.errors import ToolError
from maieutic.tools.web.exchange import KEPT, Answered, Asked
from maieutic.tools.web.guard import GuardedBackend, GuardedTransport, Refused
from maieutic.tools.web.record import Record
from maieutic.tools.web.robots import Robots
from maieutic.tools.web.traffic import Traffic
from maieutic.tools.web.unpacking import ACCEPTED, unpacked
from maieutic.tools.web.urls import Allowed, origin_of, read_url

ACCEPT = "text/html,application/xhtml+xml,application/pdf;q=0.9,text/*;q=0.8,application/json;q=0.8,*/*;q=0.1"
REDIRECTS = 6
_MOVED = {301, 302, 303, 307, 308}


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds to connect, to wait for the next bytes, and for one request in all; bytes of a body when unpacked."""

    connect: float = 10.0
    read: float = 15.0
    total: float = 40.0
    size: int = 10 * 2**20


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page as it came from `url`, where redirects led."""

    url: str
    answer: Answered


class Fetcher:
    """Fetches pages of the public web, and of `allowed` hosts. It has no cookies, no keys and no proxy."""

    def __init__(
        self,
        *,
        allowed: Allowed = Allowed(),  # noqa: B008
        agent: str = "maieutic",
        robots: bool = True,
        record: Record | None = None,
        limits: Limits = Limits(),  # noqa: B008
        traffic: Traffic | None = None,
        backend: httpcore.AsyncNetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`agent` is how it calls itself; `backend` makes connections, and `tls` trusts, in place of the usual ones."""
        self._allowed, self._agent, self._record, self._limits = allowed, agent, record, limits
        self._traffic = traffic or Traffic()
        self._backend = backend or GuardedBackend(allowed)
        self._tls = tls
        self._robots = Robots(self._robots_of, agent) if robots else None

    async def fetch(self, text: str) -> Fetched:
        """Fetch the page at a URL. Raises ToolError with a sentence for whatever comes in between."""
        return await self._follow(read_url(text, self._allowed), self._robots)

    async def _robots_of(self, url: httpx.URL) -> Answered:
        return (await self._follow(read_url(str(url), self._allowed), None)).answer

    async def _follow(self, url: httpx.URL, robots: Robots | None) -> Fetched:
        seen: list[str] = []
        while True:
            delay = await robots.check(url) if robots is not None else 0.0
            answer = await self._get(url, delay)
            target = answer.headers.get("location")
            if answer.status not in _MOVED or not target:
                return Fetched(str(url), answer)
            seen.append(str(url))
            url = self._led(url, target)
            if str(url) in seen:
                raise ToolError(f"{seen[0]} leads back to itself and never to a page.")
            if len(seen) >= REDIRECTS:
                raise ToolError(f"{seen[0]} leads from page to page, more than {REDIRECTS} times.")

    def _led(self, url: httpx.URL, target: str) -> httpx.URL:
        try:
            led = read_url(str(url.join(target)), self._allowed)
        except (ToolError, httpx.InvalidURL, ValueError, TypeError) as error:
            said = str(error) if isinstance(error, ToolError) else "That is not a URL."
            raise ToolError(f"{url} leads to an address that can't be opened. {said}") from None
        if url.scheme == "https" and led.scheme == "http":
            raise ToolError(f"{url} leads from https to plain http and is not followed: {led} can be opened by itself.")
        return led

    async def _get(self, url: httpx.URL, delay: float) -> Answered:
        async def ask() -> Answered:
            async with self._traffic.turn(origin_of(url), delay):
                return await self._ask(url)

        if self._record is None:
            return await ask()
        return await self._record.through(Asked(str(url), headers=(("accept", ACCEPT),)), ask)

    async def _ask(self, url: httpx.URL) -> Answered:
        try:
            async with asyncio.timeout(self._limits.total):
                try:
                    return await self._once(url)
                except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                    if isinstance(_cause(error, ssl.SSLError), ssl.SSLError):
                        raise
                    return await self._once(url)
        except Exception as error:
            raise ToolError(f"{url} can't be read: {self._reason(error)}.") from error

    async def _once(self, url: httpx.URL) -> Answered:
        async with self._client() as client:
            headers = {"accept": ACCEPT, "accept-encoding": ACCEPTED, "user-agent": self._agent}
            async with client.stream("GET", url, headers=headers) as response:
                encoding = response.headers.get("content-encoding", "")
                body, cut = await unpacked(response.aiter_raw(), encoding, self._limits.size)
                kept = {name: response.headers[name] for name in KEPT if name in response.headers}
                return Answered(response.status_code, kept, body, cut)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client for one request: nothing that a site sets can reach another."""
        timeout = httpx.Timeout(self._limits.read, connect=self._limits.connect)
        transport = GuardedTransport(self._backend, self._tls)
        async with httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False) as client:
            yield client

    def _reason(self, error: Exception) -> str:
        if isinstance(error, ToolError | Refused):
            return str(error)
        if isinstance(error, httpcore.ConnectTimeout):
            return f"connecting took longer than {self._limits.connect:g} s"
        if isinstance(error, TimeoutError):
            return f"it took longer than {self._limits.total:g} s"
        if isinstance(error, httpcore.TimeoutException):
            return f"the server sent nothing for {self._limits.read:g} s"
        return _said(error)


def _said(error: Exception) -> str:
    broken = _cause(error, ssl.SSLError)
    if isinstance(broken, ssl.SSLCertVerificationError):
        return f"its certificate is not valid ({broken.verify_message})"
    if broken is not None:
        return "no encrypted connection could be made"
    if isinstance(error, httpcore.ConnectError):
        return str(error).rstrip(".") or "the server can't be reached"
    if isinstance(error, httpcore.RemoteProtocolError) and "complete message body" in str(error):
        return "the connection was cut before the page was complete"
    if isinstance(error, httpcore.ProtocolError | httpcore.NetworkError):
        return "the server does not answer as a web server does"
    return f"the request failed ({type(error).__name__})"


def _cause(error: BaseException | None, kind: type[Exception]) -> Exception | None:
    while error is not None:
        if isinstance(error, kind):
            return error
        error = error.__cause__ or error.__context__
    return None
