"""The connections to one server: aiohttp's as they are, or those of an httpx transport that is given instead.

httpx's client over aiohttp's connections costs more CPU than all else in a call together (benchmarks/models.py).
"""

import asyncio
import sys
import types
from collections.abc import Callable, Coroutine, Generator, Mapping
from typing import Any, Protocol

import aiohttp
import httpx

from maieutic.llm.server.net import connector, proxy_for, run_without_loop, tls_for

TransportFactory = Callable[[], httpx.AsyncBaseTransport]


class Reply(Protocol):
    """An answer whose head has arrived."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    async def piece(self) -> bytes:
        """What has arrived of the body since the last piece; waits for some, and is empty at the end."""
        ...

    async def close(self) -> None:
        """Release the connection; it is closed unless the body was read to its end."""
        ...


class Client(Protocol):
    """Sends requests from one event loop."""

    async def send(self, method: str, url: str, content: bytes | None) -> Reply: ...

    async def aclose(self) -> None: ...


class Connections:
    """The connections to one server, as many as there are calls under way; made anew in a new event loop.

    `connect` bounds name look-up and connecting together, in seconds; `idle` is how many a connection is kept without a
    call, where None gives every request a connection of its own. HTTP(S)_PROXY and NO_PROXY are honoured.
    """

    def __init__(
        self,
        url: httpx.URL,
        headers: dict[str, str],
        connect: float | None,
        idle: float | None,
        transport: TransportFactory | None = None,
    ) -> None:
        self._url = url
        self._headers = headers
        self._connect = connect
        self._idle = idle
        self._transport = transport
        self._tls = None if transport else tls_for(url)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Client | None = None

    def get(self) -> Client:
        """The client of the running event loop."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            if self._client is not None and self._loop is not None and self._loop.is_closed():
                run_without_loop(self._client)
            self._loop = loop
            self._client = self._with_httpx(self._transport) if self._transport else self._with_aiohttp()
        return self._client

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _with_httpx(self, transport: TransportFactory) -> "Client":
        # Reading is timed by the caller, phase by phase.
        timeout = httpx.Timeout(None, connect=self._connect, pool=self._connect)
        return _HttpxClient(httpx.AsyncClient(transport=transport(), headers=self._headers, timeout=timeout))

    def _with_aiohttp(self) -> "Client":
        proxy = proxy_for(self._url)
        return _AiohttpClient(
            aiohttp.ClientSession(
                connector=connector(self._tls, self._idle),
                request_class=_Request,
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(connect=self._connect, sock_connect=self._connect),
                proxy=None if proxy is None else _with_key(proxy),
            )
        )


def _with_key(proxy: httpx.Proxy) -> str:
    name, password = proxy.auth or (None, None)
    return str(proxy.url.copy_with(username=name, password=password))


class _Request(aiohttp.ClientRequest):
    """A request whose body is written as it is sent.

    Python 3.11 begins a task only after whatever is ready by then, and aiohttp writes a body in a task of its own: of
    many calls made at once the first would go out when the last is prepared. From Python 3.12 on aiohttp does this
    itself.
    """

    if sys.version_info < (3, 12):

        def write_bytes(self, *args: Any, **options: Any) -> Any:
            work = super().write_bytes(*args, **options)
            try:
                waits_for = work.send(None)
            except StopIteration:
                return _done()
            return _rest(work, waits_for)


async def _done() -> None:
    """There is nothing left to do."""


@types.coroutine
def _rest(work: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """What is left of `work`, which has been begun and waits: a large body that the server is slow to take."""
    try:
        yield waits_for
    except BaseException as error:
        work.throw(error)
    yield from work


class _AiohttpClient:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, method: str, url: str, content: bytes | None) -> Reply:
        return _AiohttpReply(await self._session.request(method, url, data=content, allow_redirects=False))

    async def aclose(self) -> None:
        await self._session.close()


class _AiohttpReply:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def piece(self) -> bytes:
        return await self._response.content.readany()

    async def close(self) -> None:
        self._response.release()
        await self._response.wait_for_close()


class _HttpxClient:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def send(self, method: str, url: str, content: bytes | None) -> Reply:
        return _HttpxReply(
            await self._client.send(self._client.build_request(method, url, content=content), stream=True)
        )

    async def aclose(self) -> None:
        await self._client.aclose()


class _HttpxReply:
    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._body = response.aiter_bytes()
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def piece(self) -> bytes:
        return await anext(self._body, b"")

    async def close(self) -> None:
        await self._response.aclose()
