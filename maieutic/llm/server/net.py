"""What every HTTP client here needs: aiohttp's pool, what failures of a connection mean, how long to wait for a retry.

httpx's own pool stalls when many calls share it: one idle connection is handed to many waiters.
"""

import asyncio
import random
import ssl
import time
from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

LONGEST_WAIT = 60.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Closable(Protocol):
    """A client or a transport."""

    def aclose(self) -> Coroutine[Any, Any, None]: ...


@dataclass(frozen=True, slots=True)
class Failure:
    """Why no response came: `kind` as in ModelError, a reason in words, and whether the connection was just stale."""

    kind: str
    reason: str
    stale: bool = False


class Slots:
    """At most `limit` calls under way at once; no limit where it is None. Works in one event loop after another."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._loop: asyncio.AbstractEventLoop | None = None
        self._semaphore = asyncio.Semaphore(limit or 1)

    def one(self) -> AbstractAsyncContextManager[None]:
        """Held during a call."""
        if self._limit is None:
            return nullcontext()
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._semaphore = loop, asyncio.Semaphore(self._limit)
        return self._semaphore


def tls_for(url: httpx.URL) -> ssl.SSLContext | None:
    """The TLS settings for this URL's server, None where it is asked without."""
    return httpx.create_ssl_context() if url.scheme == "https" else None


def connector(context: ssl.SSLContext | None, idle: float | None) -> aiohttp.TCPConnector:
    """A pool without a limit on connections, which are kept for `idle` seconds without a call; with None every request
    gets a connection of its own."""
    return aiohttp.TCPConnector(limit=0, keepalive_timeout=idle, force_close=idle is None, ssl=context or True)


def aiohttp_transport(url: httpx.URL, idle: float = 3.0) -> httpx.AsyncBaseTransport:
    """An httpx transport over aiohttp's pool for this URL's server; honours HTTP(S)_PROXY and NO_PROXY. A connection is
    kept for `idle` seconds without a call."""
    context = tls_for(url)

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=connector(context, idle), cookie_jar=aiohttp.DummyCookieJar())

    # The proxy is found once: aiohttp's own look-up goes through a thread on every request.
    return AiohttpTransport(verify=context or False, client=session, proxy=proxy_for(url))


def proxy_for(url: httpx.URL) -> httpx.Proxy | None:
    """The proxy that the environment names for this URL; never one for this machine itself."""
    if url.host in LOOPBACK or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return httpx.Proxy(proxy) if proxy else None


def understand(error: Exception) -> Failure:
    """What a client's exception means. aiohttp's own exception, the cause of httpx's, is more exact than that one."""
    cause = error if isinstance(error, aiohttp.ClientError) else error.__cause__ or error
    if isinstance(cause, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return Failure("refused", f"its TLS certificate is not accepted: {cause}")
    if isinstance(error, httpx.ConnectError) or isinstance(cause, aiohttp.ClientConnectorError):
        return Failure("unreachable", _reason(cause))
    if isinstance(cause, TimeoutError) or isinstance(error, httpx.TimeoutException) and cause is error:
        return Failure("unreachable", "connecting took too long")
    if isinstance(cause, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | httpx.RemoteProtocolError):
        return Failure("cut", "it closed the connection without an answer", stale=True)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL | aiohttp.InvalidURL):
        return Failure("refused", "this is not an http address")
    return Failure("cut", _reason(cause))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait, given as a number or as a date; None where it doesn't ask."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def wait_before(attempt: int, asked: float | None) -> float:
    """Seconds to wait before try number `attempt` (1 is the first repetition): exponential with jitter, capped."""
    if asked is not None:
        return min(asked + random.uniform(0, 0.1), LONGEST_WAIT)
    return random.uniform(0.5, 1.0) * min(0.5 * 2.0 ** (attempt - 1), LONGEST_WAIT)


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.rstrip(".")


def run_without_loop(client: Closable) -> None:
    """Close a client whose event loop is gone: nothing is left to wait for, so one step is enough."""
    closing = client.aclose()
    try:
        closing.send(None)
    except (StopIteration, RuntimeError):
        pass
    finally:
        closing.close()
