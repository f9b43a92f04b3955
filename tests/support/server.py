"""A model server that says what a test tells it to: a real socket, the OpenAI chat protocol, and every misbehaviour.

    with FakeServer([Answer("4"), Answer(status=429, headers={"Retry-After": "1"})]) as server:
        ... server.url, server.requests, server.disconnects

It runs in its own thread, so that it serves async tests, blocking ones and other processes alike.
"""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

Json = dict[str, Any]


@dataclass
class Answer:
    """One answer. `body` is sent as it is; `cut_after` closes the connection after so many chunks (0: before any byte).

    `tool_calls` are (name, arguments) pairs; `fields` are added to the response object, `choice` to its choice,
    `message` to its message. `tops` are the alternatives at each token, as far as they go. `delay` passes before the
    first byte, `chunk_delay` before each streamed chunk.
    """

    text: str | None = "hello"
    tool_calls: Sequence[tuple[str, str]] = ()
    reasoning: str | None = None
    finish_reason: str | None = "stop"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay: float = 0.0
    chunk_delay: float = 0.0
    piece: int = 4
    cut_after: int | None = None
    usage: bool = True
    done: bool = True
    ignore_stream: bool = False
    fields: Json = field(default_factory=dict)
    choice: Json = field(default_factory=dict)
    message: Json = field(default_factory=dict)
    tops: Sequence[dict[str, float]] = ()


Script = Answer | Sequence[Answer] | Callable[[Json], Answer]


class FakeServer:
    """Answers `/v1/chat/completions`, `/v1/completions` (of token ids), `/v1/models`, and where it `tokenizes` also
    `/tokenize` and `/detokenize`, as vLLM does; the last answer of a sequence is repeated.

    `refuse_fields` are request fields answered with 400, as strict servers do. Token ids (UTF-8 bytes) and
    log-probabilities are returned where the request asks for them. `/metrics` tells of `waiting`
    requests, if that is set.
    """

    def __init__(
        self,
        script: Script | None = None,
        models: Sequence[str] = ("m",),
        refuse_fields: Sequence[str] = (),
        port: int = 0,
        tokenizes: bool = True,
    ) -> None:
        self.script: Script = script or Answer()
        self.models = list(models)
        self.refuse_fields = tuple(refuse_fields)
        self.tokenizes = tokenizes
        self.requests: list[Json] = []
        self.tokenized: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.disconnects: list[float] = []
        self.running = 0
        self.peak = 0
        self.connections: set[Any] = set()
        self.keepalive = 75.0
        self.port = port
        self.waiting: int | None = None
        self._given = 0
        self._started = threading.Event()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._started.wait(10), "the fake server did not start"
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> bool:
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
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._chat)
        app.router.add_get("/v1/models", self._list)
        app.router.add_get("/metrics", self._metrics)
        if self.tokenizes:
            app.router.add_post("/tokenize", self._tokenize)
            app.router.add_post("/detokenize", self._tokenize)
        runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1, keepalive_timeout=self.keepalive
        )
        await runner.setup()
        listening = socket.create_server(("127.0.0.1", self.port), backlog=128)
        await web.SockSite(runner, listening).start()
        self.port = listening.getsockname()[1]
        self._started.set()
        await self._stop.wait()
        self._loop.remove_reader(listening)  # asyncio forgets connections that it is accepting while a server is closed
        await self._hang_up(runner)
        await runner.cleanup()

    async def _hang_up(self, runner: web.AppRunner) -> None:
        """Close every connection at once, as a killed process does; those that are just being accepted as well."""
        assert runner.server is not None
        for wait in (0.0, 0.0, 0.0, 0.0, 0.01, 0.0):
            for connection in runner.server.connections:
                if connection.transport is not None:
                    connection.transport.abort()
            await asyncio.sleep(wait)

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": m, "object": "model"} for m in self.models]})

    async def _metrics(self, _: web.Request) -> web.Response:
        if self.waiting is None:
            return _error(404, "Not Found")
        kept = f'vllm:num_requests_waiting{{engine="0",model_name="m"}} {float(self.waiting)}'
        return web.Response(text=f"# TYPE vllm:num_requests_waiting gauge\n{kept}\nvllm:num_requests_running 3.0\n")

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.tokenized.append(body)
        if body["model"] not in self.models:
            return _error(404, f"The model `{body['model']}` does not exist.")
        if "tokens" in body:
            return web.json_response({"prompt": bytes(body["tokens"]).decode(errors="replace")})
        ids = prompt_ids(body) if "messages" in body else list(body["prompt"].encode())
        return web.json_response({"count": len(ids), "max_model_len": 1024, "tokens": ids, "token_strs": None})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        self.times.append(time.monotonic())
        self.connections.add(request.transport.get_extra_info("peername") if request.transport else None)
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            return await self._answer(request, body)
        except (asyncio.CancelledError, ConnectionError):
            self.disconnects.append(time.monotonic())
            raise
        finally:
            self.running -= 1

    async def _answer(self, request: web.Request, body: Json) -> web.StreamResponse:
        for name in self.refuse_fields:
            if name in body:
                return _error(400, f"Unrecognized request argument supplied: {name}")
        if body["model"] not in self.models:
            return _error(404, f"The model `{body['model']}` does not exist.")
        answer = self._next(body)
        await asyncio.sleep(answer.delay)
        if answer.cut_after == 0:
            return _cut(request)
        if answer.status != 200:
            if answer.body is None:
                return _error(answer.status, answer.text or "", answer.headers)
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        if body.get("stream") and not answer.ignore_stream:
            return await self._stream(request, body, answer)
        return await self._plain(request, body, answer)

    def _next(self, body: Json) -> Answer:
        if isinstance(self.script, Answer):
            return self.script
        if callable(self.script):
            return self.script(body)
        answer = self.script[min(self._given, len(self.script) - 1)]
        self._given += 1
        return answer

    async def _plain(self, request: web.Request, body: Json, answer: Answer) -> web.StreamResponse:
        data = answer.body if answer.body is not None else json.dumps(whole(body, answer)).encode()
        if answer.cut_after is None:
            return web.Response(body=data, content_type="application/json", headers=answer.headers)
        response = web.StreamResponse(headers={"Content-Length": str(len(data)), "Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(data[: len(data) // 2])
        _cut(request)
        return response

    async def _stream(self, request: web.Request, body: Json, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **answer.headers})
        await response.prepare(request)
        if answer.body is not None:
            await response.write(answer.body)
            return response
        sent = 0
        for chunk in chunks(body, answer):
            await asyncio.sleep(answer.chunk_delay)
            if answer.cut_after is not None and sent >= answer.cut_after:
                _cut(request)
                return response
            await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            sent += 1
        if answer.done:
            await response.write(b"data: [DONE]\n\n")
        return response


def whole(body: Json, answer: Answer) -> Json:
    """The response object of a plain answer."""
    text = answer.text or ""
    message: Json = {"role": "assistant", "content": answer.text, **answer.message}
    if answer.reasoning is not None:
        message["reasoning"] = answer.reasoning
    if answer.tool_calls:
        message["tool_calls"] = [_call(i, name, arguments) for i, (name, arguments) in enumerate(answer.tool_calls)]
    choice: Json = {"index": 0, "message": message, "finish_reason": answer.finish_reason, "stop_reason": None}
    payload: Json = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"]}
    if "prompt" in body:
        choice["text"] = choice.pop("message")["content"]
    if body.get("return_token_ids"):
        (choice if "prompt" in body else payload)["prompt_token_ids"] = prompt_ids(body)
        choice["token_ids"] = list(text.encode())
    choice["logprobs"] = _logprobs(body, answer, text)
    if answer.usage:
        payload["usage"] = _usage(body, text)
    return {**payload, "choices": [{**choice, **answer.choice}], **answer.fields}


def chunks(body: Json, answer: Answer) -> list[Json]:
    """The chunks of a streamed answer: role, reasoning, text, tool-call fragments, finish reason, usage."""
    if "prompt" in body:
        return _raw_chunks(body, answer)
    base: Json = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    first: Json = {**base, **answer.fields, "choices": [_delta({"role": "assistant", "content": "", **answer.message})]}
    if body.get("return_token_ids"):
        first["prompt_token_ids"] = prompt_ids(body)
    found = [first]
    found += [{**base, "choices": [_delta({"reasoning": piece})]} for piece in _cut_up(answer.reasoning, answer.piece)]
    for i, piece in enumerate(_cut_up(answer.text, answer.piece)):
        choice = _delta({"content": piece})
        if body.get("return_token_ids"):
            choice["token_ids"] = list(piece.encode())
        choice["logprobs"] = _logprobs(body, answer, piece, i * answer.piece)
        found.append({**base, "choices": [choice]})
    for i, (name, arguments) in enumerate(answer.tool_calls):
        found.append({**base, "choices": [_delta({"tool_calls": [{**_call(i, name, ""), "index": i}]})]})
        for piece in _cut_up(arguments, answer.piece):
            fragment = {"index": i, "function": {"arguments": piece}}
            found.append({**base, "choices": [_delta({"tool_calls": [fragment]})]})
    if answer.finish_reason is not None:
        found.append({**base, "choices": [{**_delta({}), "finish_reason": answer.finish_reason, **answer.choice}]})
    if answer.usage and (body.get("stream_options") or {}).get("include_usage"):
        found.append({**base, "choices": [], "usage": _usage(body, answer.text or "")})
    return found


def _raw_chunks(body: Json, answer: Answer) -> list[Json]:
    """The chunks of a streamed answer of the completion endpoint: the prompt's ids come with the first text."""
    base: Json = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": body["model"]}
    found: list[Json] = []
    for i, piece in enumerate(_cut_up(answer.text, answer.piece)):
        choice: Json = {"index": 0, "text": piece, "finish_reason": None, "token_ids": list(piece.encode())}
        choice["logprobs"] = _logprobs(body, answer, piece, i * answer.piece)
        choice["prompt_token_ids"] = None if found else prompt_ids(body)
        found.append({**base, "choices": [choice]})
    found.append({**base, "choices": [{"index": 0, "text": "", "finish_reason": answer.finish_reason}]})
    if answer.usage:
        found.append({**base, "choices": [], "usage": _usage(body, answer.text or "")})
    return found


def prompt_ids(body: Json) -> list[int]:
    """The token ids of a request's prompt: its messages' bytes, or what it gives."""
    if "prompt" in body:
        return list(body["prompt"])
    return list("".join(m["content"] or "" for m in body["messages"]).encode())


def _call(i: int, name: str, arguments: str) -> Json:
    return {"id": f"id-{i}", "type": "function", "function": {"name": name, "arguments": arguments}}


def _delta(delta: Json) -> Json:
    return {"index": 0, "delta": delta, "finish_reason": None, "logprobs": None}


def _cut_up(text: str | None, piece: int) -> list[str]:
    return [(text or "")[i : i + piece] for i in range(0, len(text or ""), piece)]


def _logprobs(body: Json, answer: Answer, text: str, start: int = 0) -> Json | None:
    """What the endpoint says of these tokens (UTF-8 bytes) beside their ids; `start` is the first one's place."""
    wanted = body.get("logprobs")
    if wanted is None or wanted is False:
        return None
    pairs = [(chr(b), -b / 100) for b in text.encode()]
    tops = [answer.tops[i] if i < len(answer.tops) else {} for i in range(start, start + len(pairs))]
    if "prompt" in body:
        named = [{token: value, **top} for (token, value), top in zip(pairs, tops, strict=True)]
        return {"tokens": [t for t, _ in pairs], "token_logprobs": [v for _, v in pairs], "top_logprobs": named}
    return {
        "content": [
            {
                "token": token,
                "logprob": value,
                "bytes": [ord(token)],
                "top_logprobs": [{"token": t, "logprob": v} for t, v in top.items()],
            }
            for (token, value), top in zip(pairs, tops, strict=True)
        ]
    }


def _usage(body: Json, text: str) -> Json:
    prompt, completion = len(prompt_ids(body)), len(text.encode())
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 1},
    }


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    error = {"error": {"message": message, "type": "error", "code": status}}
    return web.json_response(error, status=status, headers=headers)


def _cut(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
