"""What passes between litellm and a provider, watched as it passes, so that nothing has to be guessed afterwards.

litellm ends a broken stream as if it were whole, estimates tokens that were not reported, rewords errors and repeats
requests by itself. What is seen here is the provider's own word.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any

import httpx

from maieutic.llm.server.exchange import TRANSPORT_ERRORS
from maieutic.llm.server.net import Failure, aiohttp_transport, run_without_loop, understand
from maieutic.llm.server.stream import EventParser
from maieutic.llm.server.wire import Json, decode_json

ANSWERS = ("choices", "content", "candidates", "promptFeedback", "message")
WITNESS: ContextVar["Witness | None"] = ContextVar("WITNESS", default=None)


class Witness:
    """One attempt as it looked on the wire.

    `departed` is set when a request goes out, and `sent` is its body. `status`, `headers` and `refusal` are of an
    answer that is not 200; `error` is an error object in an answer that is. `failure` says what else was wrong.
    `finish` is the provider's word for why it ended, `model` and `id` what it calls the model and the answer; `usage`
    is its count of the tokens, and `counted` says whether that is complete. `alive` is called for each piece of the
    answer's body.
    """

    def __init__(self, alive: Callable[[], None] = lambda: None) -> None:
        self.departed = asyncio.Event()
        self.sent: Json = {}
        self.status: int | None = None
        self.headers = httpx.Headers()
        self.refusal: str | None = None
        self.error: Json | None = None
        self.failure: Failure | None = None
        self.finish: str | None = None
        self.model: str | None = None
        self.id: str | None = None
        self.usage: Json = {}
        self.counted = False
        self.judged = False  # whether the body could be read here
        self.cut_short = False  # whether a listener had heard enough
        self.alive = alive
        self._response: httpx.Response | None = None
        self._form = ""
        self._whole: list[bytes] = []
        self._events = EventParser()
        self._rest = b""

    def asked(self, request: httpx.Request) -> None:
        """A request goes out."""
        self.departed.set()
        try:
            self.sent = decode_json(request.content)
        except (ValueError, httpx.RequestNotRead):
            self.sent = {}

    def began(self, response: httpx.Response) -> None:
        """The head of an answer has arrived."""
        self.status, self.headers, self._response = response.status_code, response.headers, response
        kind = response.headers.get("content-type", "")
        encoded = response.headers.get("content-encoding", "identity") != "identity"
        self._form = "sse" if "event-stream" in kind else "lines" if "ndjson" in kind else "whole"
        self.judged, self.refusal = not encoded, None

    def refused(self, text: str) -> None:
        """The whole body of an answer that is not 200 has arrived."""
        self.refusal = text

    async def close(self) -> None:
        """Give the connection up, unless the answer was read to its end; litellm does not always do so."""
        if self._response is not None:
            await self._response.aclose()

    def take(self, chunk: bytes) -> None:
        """A piece of the body has arrived. Raises httpx.ReadError where it can't be part of an answer."""
        self.alive()
        if not self.judged:
            return
        if self._form == "whole":
            self._whole.append(chunk)
        elif self._form == "sse":
            for event in self._events.feed(chunk):
                self._event(event)
        else:
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._event(line)

    def ended(self) -> None:
        """The body has ended. Raises httpx.ReadError where it should not have, or holds no answer."""
        if not self.judged:
            return
        if self._form == "whole":
            self._read_whole(b"".join(self._whole))
            return
        for event in [*self._events.flush(), self._rest]:
            self._event(event)
        if self.finish is None and self.error is None:
            raise self.broken("cut", "the connection was closed before the end")

    def lost(self, error: Exception) -> httpx.ReadError:
        """The transport failed. What is to be raised is not what litellm would take for a reason to ask again."""
        understood = understand(error)
        return self.broken(understood.kind, understood.reason)

    def broken(self, kind: str, reason: str) -> httpx.ReadError:
        """Note what is wrong."""
        self.failure = Failure(kind, reason)
        return httpx.ReadError(reason)

    def _read_whole(self, data: bytes) -> None:
        payload = self._decoded(data)
        self._look(payload)
        if self.error is None and not any(name in payload for name in ANSWERS):
            raise self.broken("malformed", f"its answer holds none of {', '.join(ANSWERS)}")

    def _event(self, data: bytes) -> None:
        if data.strip() and data != b"[DONE]":
            self._look(self._decoded(data))

    def _decoded(self, data: bytes) -> Json:
        try:
            payload: Any = decode_json(data)
        except ValueError:
            payload = None
        if not isinstance(payload, dict):
            raise self.broken("malformed", f"it answered with {described(data)} instead of JSON")
        return payload

    def _look(self, event: Json) -> None:
        """Take note of what an answer or one event of it says about its end, its tokens and its failure."""
        try:
            if event.get("error"):
                self.error = event
            self.finish = _finish(event) or self.finish
            inner: Json = event["message"] if event.get("type") == "message_start" else event
            self.model = self.model or inner.get("model") or inner.get("modelVersion")
            self.id = self.id or inner.get("id") or inner.get("responseId")
            self.usage.update(_usage(inner))
            self.counted = self.counted or _counted(event)
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise self.broken("malformed", f"a part of its answer has an unexpected form ({error})") from error


class WatchedTransport(httpx.AsyncBaseTransport):
    """Connections to any host, for all event loops; each exchange is watched by the context's `WITNESS`.

    `connect` bounds name look-up and connecting, in seconds; everything else is timed by the caller.
    """

    def __init__(self, connect: float | None) -> None:
        self._times = {"connect": connect, "pool": connect, "read": None, "write": None}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hosts: dict[tuple[str, str, int | None], httpx.AsyncBaseTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises httpx.ReadError, whatever is wrong."""
        witness = WITNESS.get() or Witness()
        witness.asked(request)
        request.headers["accept-encoding"] = "identity"
        request.extensions = {**request.extensions, "timeout": self._times}
        try:
            response = await self._to(request.url).handle_async_request(request)
            witness.began(response)
            if response.status_code != 200:
                witness.judged = False
                content = await response.aread()
                await response.aclose()
                witness.refused(content.decode(errors="replace"))
                return httpx.Response(response.status_code, headers=_plain(response.headers), content=content)
        except TRANSPORT_ERRORS as error:
            raise witness.lost(error) from error
        stream = _Watched(response, witness)
        return httpx.Response(200, headers=response.headers, stream=stream, extensions=response.extensions)

    async def aclose(self) -> None:
        """Close all connections of this event loop."""
        hosts, self._hosts = self._hosts, {}
        for transport in hosts.values():
            await transport.aclose()

    def _to(self, url: httpx.URL) -> httpx.AsyncBaseTransport:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None and self._loop.is_closed():
                for transport in self._hosts.values():
                    run_without_loop(transport)
            self._loop, self._hosts = loop, {}
        host = (url.scheme, url.host, url.port)
        if host not in self._hosts:
            self._hosts[host] = aiohttp_transport(url)
        return self._hosts[host]


class _Watched(httpx.AsyncByteStream):
    """A body whose pieces the witness sees first."""

    def __init__(self, response: httpx.Response, witness: Witness) -> None:
        self._response = response
        self._witness = witness

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = aiter(self._response.stream)  # type: ignore[arg-type]
        while True:
            try:
                piece = await anext(pieces, None)
            except TRANSPORT_ERRORS as error:
                raise self._witness.lost(error) from error
            if piece is None:
                self._witness.ended()
                return
            self._witness.take(piece)
            yield piece

    async def aclose(self) -> None:
        await self._response.aclose()


def described(data: bytes | str) -> str:
    """A body that is no JSON, in a few words."""
    text = (data if isinstance(data, str) else data.decode(errors="replace")).strip()
    if not text:
        return "nothing"
    if text.startswith("<"):
        start = text.lower().find("<title>")
        title = " ".join(text[start + 7 :].partition("<")[0].split()) if start >= 0 else ""
        return f"an HTML page ({title[:80]!r})" if title else "an HTML page"
    return json.dumps(text[:80], ensure_ascii=False)


def _finish(event: Json) -> str | None:
    """Why the answer ended, in the provider's word and whichever way it says it."""
    if choices := event.get("choices"):
        return choices[0].get("finish_reason") or None
    if candidates := event.get("candidates"):
        return candidates[0].get("finishReason") or None
    if blocked := (event.get("promptFeedback") or {}).get("blockReason"):
        return str(blocked)
    if event.get("done"):
        return event.get("done_reason") or "stop"
    return (event.get("delta") or {}).get("stop_reason") or event.get("stop_reason") or None


def _usage(event: Json) -> Json:
    counts: Json = event.get("usage") or event.get("usageMetadata") or {}
    return counts or {name: event[name] for name in ("prompt_eval_count", "eval_count") if name in event}


def _counted(event: Json) -> bool:
    """Whether this event counts the answer's tokens; Anthropic's first one counts the prompt's alone."""
    usage = {} if event.get("type") == "message_start" else _usage(event)
    return any(name in usage for name in ("completion_tokens", "output_tokens", "totalTokenCount", "eval_count"))


def _plain(headers: httpx.Headers) -> list[tuple[str, str]]:
    """The headers of a body that has been decoded."""
    return [(k, v) for k, v in headers.items() if k.lower() not in ("content-encoding", "content-length")]
