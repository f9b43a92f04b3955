"""Servers that speak each provider's own wire format, as its API documentation describes it: real sockets, real errors.

    with ProviderServer("anthropic", [Said("4"), Said(status=529)]) as server:
        ... server.url, server.requests, server.disconnects

A server is as strict as the provider: a wrong key, an unknown model, a field that it doesn't know, a message that it
would not accept are refused with the error body that the provider sends.
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.support.provider_formats import Anthropic, Format, Json, Mistral, OpenAI, Refused, Said
from tests.support.provider_formats_more import Gemini, Ollama

__all__ = ["KEY", "ProviderServer", "Said"]
FORMATS: dict[str, Format] = {
    "openai": OpenAI(),
    "anthropic": Anthropic(),
    "gemini": Gemini(),
    "ollama": Ollama(),
    "mistral": Mistral(),
}
KEY = "sk-very-secret-0123456789"


class ProviderServer:
    """One provider. The last answer of a sequence is repeated; `key` None takes any."""

    def __init__(self, provider: str, script: Said | Sequence[Said] | None = None, key: str | None = KEY) -> None:
        self.format = FORMATS[provider]
        self.script = [script or Said()] if isinstance(script, Said | None) else list(script)
        self.key = key
        self.requests: list[Json] = []
        self.paths: list[str] = []
        self.disconnects: list[float] = []
        self.running = 0
        self._given = 0
        self._started = threading.Event()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._started.wait(30), "the provider's server did not start"
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    @property
    def url(self) -> str:
        """What a profile's `base_url` is for this provider."""
        return f"http://127.0.0.1:{self.port}{self.format.root}"

    async def until(self, condition: Callable[[], bool], seconds: float = 90.0) -> bool:
        """Wait until a condition on this server holds; False where it doesn't come about."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.005)
        return True

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        self._started.set()
        await self._stop.wait()
        await site.stop()
        for _ in range(8):  # connections that are just being accepted are closed with the others
            await asyncio.sleep(0)
        await runner.cleanup()
        await asyncio.sleep(0)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.paths.append(request.path_qs)
        self.running += 1
        try:
            return await self._answer(request, body)
        except (asyncio.CancelledError, ConnectionError):
            self.disconnects.append(time.monotonic())
            raise
        finally:
            self.running -= 1

    async def _answer(self, request: web.Request, body: Json) -> web.StreamResponse:
        said = self.script[min(self._given, len(self.script) - 1)]
        try:
            stream = self.format.check(request.path_qs, dict(request.headers), body, self.key)
        except Refused as refused:
            return web.Response(status=refused.status, body=refused.body, content_type="application/json")
        self._given += 1
        await asyncio.sleep(said.delay)
        if said.cut_after == 0:
            return _cut(request)
        if said.status != 200 or said.body is not None:
            data = self.format.error(said.status, said.text) if said.body is None else said.body
            kind = said.kind or "application/json"
            return web.Response(status=said.status, body=data, content_type=kind, headers=said.headers)
        if stream:
            return await self._stream(request, self.format.events(body, said), said)
        return await self._plain(request, json.dumps(self.format.whole(body, said)).encode(), said)

    async def _plain(self, request: web.Request, data: bytes, said: Said) -> web.StreamResponse:
        if said.cut_after is None:
            return web.Response(body=data, content_type="application/json", headers=said.headers)
        response = web.StreamResponse(headers={"Content-Length": str(len(data)), "Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(data[: len(data) // 2])
        return _cut(request)

    async def _stream(self, request: web.Request, events: list[bytes], said: Said) -> web.StreamResponse:
        kind = said.kind or self.format.stream_kind
        response = web.StreamResponse(headers={"Content-Type": kind, **said.headers})
        await response.prepare(request)
        for sent, event in enumerate(events):
            if said.cut_after == sent:
                if said.clean_cut:
                    return response
                return _cut(request)
            await asyncio.sleep(said.stall if said.stall_after == sent else said.chunk_delay)
            await response.write(event)
        return response


def _cut(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
