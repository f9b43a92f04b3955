"""Requests to a search provider: its key in a header that is never recorded or shown, failures as sentences."""

import asyncio
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import unescape
from typing import Any

import httpx

from maieutic.errors import ToolError
from maieutic.llm.server.net import retry_after
from maieutic.tools.web.exchange import KEPT, Answered, Asked
from maieutic.tools.web.record import Record

LARGEST = 5 * 2**20
PATIENCE = 10.0  # seconds that a provider may ask to wait before it is tried once more
_TAG = re.compile(r"<[^<>]{1,200}>")


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


@dataclass(frozen=True)
class Provider:
    """Whom is asked: `secret` are headers. A GET is tried once more, after a failed connection or a wait asked for; a
    POST never, for it may be paid for."""

    label: str
    secret: Mapping[str, str]
    record: Record | None = None
    timeout: float = 20.0

    async def json(self, asked: Asked) -> Any:
        """What the provider answers. Raises ToolError."""

        async def ask() -> Answered:
            return self._checked(await self._tried(asked))

        answer = await (ask() if self.record is None else self.record.through(asked, ask))
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError):
            raise ToolError(f"{self.label} did not answer with JSON that can be read: try again later.") from None

    async def _tried(self, asked: Asked) -> Answered:
        again = asked.method == "GET"
        try:
            answer = await self._once(asked)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            if not again:
                raise self._failed(error) from error
            answer, again = await self._last(asked), False
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._failed(error) from error
        wait = retry_after(answer.headers) if answer.status in (429, 503) else None
        if again and wait is not None and wait <= PATIENCE:
            await asyncio.sleep(wait)
            return await self._last(asked)
        return answer

    async def _last(self, asked: Asked) -> Answered:
        try:
            return await self._once(asked)
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._failed(error) from error

    async def _once(self, asked: Asked) -> Answered:
        headers = {**dict(asked.headers), **self.secret, "accept": "application/json"}
        async with (
            asyncio.timeout(self.timeout),
            httpx.AsyncClient(timeout=self.timeout, verify=_tls()) as client,
            client.stream(asked.method, asked.url, headers=headers, content=asked.body or None) as response,
        ):
            body = bytearray()
            async for part in response.aiter_bytes(65_536):
                body += part
                if len(body) > LARGEST:
                    raise ToolError(f"{self.label} answered with more than {LARGEST / 2**20:g} MiB.")
            kept = {name: response.headers[name] for name in KEPT if name in response.headers}
            return Answered(response.status_code, kept, bytes(body))

    def _checked(self, answer: Answered) -> Answered:
        """Raises ToolError for an answer that isn't one."""
        status, wait = answer.status, retry_after(answer.headers)
        if status == 200:
            return answer
        if status == 429:
            later = f"in {wait:.0f} s" if wait is not None else "later"
            raise ToolError(f"{self.label} has had too many searches: try again {later}.")
        if status in (401, 403):
            raise ToolError(f"{self.label} does not accept its key or this request (HTTP {status}){_detail(answer)}.")
        if status >= 500:
            raise ToolError(f"{self.label} has trouble of its own (HTTP {status}): try again later.")
        raise ToolError(f"{self.label} refused the search (HTTP {status}){_detail(answer)}.")

    def _failed(self, error: Exception) -> ToolError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return ToolError(f"{self.label} can't be reached: the search was not made.")
        if isinstance(error, httpx.TimeoutException | TimeoutError):
            return ToolError(f"{self.label} did not answer within {self.timeout:g} s: try again later.")
        return ToolError(f"{self.label} broke the connection off: try again later.")


def _detail(answer: Answered) -> str:
    """What the provider says of its refusal, wherever it says it."""
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        return ""
    for _ in range(3):
        if isinstance(said, dict):
            said = next((said[name] for name in ("detail", "error", "message") if said.get(name)), None)
    return f": {' '.join(said.split())[:200].rstrip('.')}" if isinstance(said, str) else ""


def plain(value: object, most: int = 600) -> str:
    """A provider's text on one line, without the tags that mark words in it."""
    text = " ".join(unescape(_TAG.sub("", value)).split()) if isinstance(value, str) else ""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def entries(value: object, label: str) -> list[dict[str, Any]]:
    """The results in an answer that can be opened. Raises ToolError where there is no list of them."""
    if not isinstance(value, list):
        raise ToolError(f"{label} answered in a form that is not known.")
    return [
        one
        for one in value
        if isinstance(one, dict) and str(one.get("url", "")).lower().startswith(("http://", "https://"))
    ]
