"""Any server that speaks the OpenAI chat protocol, vLLM first: there, also calls that go on from token ids."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from maieutic.errors import ModelError
from maieutic.llm.model import Enough, OnDelta
from maieutic.llm.profile import Profile
from maieutic.llm.server.connections import Connections, Reply, TransportFactory
from maieutic.llm.server.exchange import TRANSPORT_ERRORS, AttemptFailed, Exchange, timed_out, unreached
from maieutic.llm.server.fields import TEMPLATE, complaint
from maieutic.llm.server.net import Slots, retry_after, wait_before
from maieutic.llm.server.raw import as_chat, raw_body
from maieutic.llm.server.refusals import error_in, refusal, root_url, shown, unknown_model, without_key
from maieutic.llm.server.stream import EventParser, Listener
from maieutic.llm.server.wire import (
    Json,
    decode_json,
    encode_json,
    malformed,
    read_completion,
    request_body,
    tool_fields,
)
from maieutic.types import Completion, Request

# Added to a request without the user asking for it; a strict server that refuses one is then asked without it.
OPTIONAL_FIELDS = ("return_token_ids", "stream_options", "logprobs")
WAITING = re.compile(rb"^vllm:num_requests_waiting(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
BELOW_V1 = ("chat/completions", "completions", "models")
T = TypeVar("T")
END_SECONDS = 0.2  # how long the end of a streamed body may take after its last event


@dataclass(slots=True)
class _Post:
    """One request to one endpoint; `raw` says that its answer has the completion endpoint's form."""

    url: str
    body: Json
    raw: bool = False
    choices: bool = True  # whether its answer holds any


class OpenAICompatibleModel:
    """A model behind an OpenAI-compatible server; a `TokenModel` where that is vLLM.

    `name` is what traces call it; `base_url` is the API's root (`/v1` is added to a bare host). `transport` makes
    an httpx transport to be used instead of aiohttp's connections, and `sleep` waits between attempts.
    """

    def __init__(
        self,
        name: str,
        profile: Profile,
        base_url: str,
        api_key: str | None = None,
        transport: TransportFactory | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self._profile = profile
        self._key = api_key
        self._sleep = sleep
        url = root_url(base_url)
        self._shown = shown(url)
        self._url = url
        self._urls: dict[str, str] = {}
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        if api_key:
            headers["authorization"] = f"Bearer {api_key}"
        times = profile.timeouts
        self._http = Connections(url, headers, times.connect, times.idle, transport)
        self._unused = Connections(url, headers, times.connect, None, transport)  # none was used before
        self._slots = Slots(profile.concurrency)
        self._model = profile.model
        self._unsupported: set[str] = set()
        self._answered = False
        self.overloads = 0  # how often it refused because it was overloaded, attempts that were repeated included

    async def sample(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """Ask the server; streams only where `on_delta` is given. Raises ModelError, and what `on_delta` raises."""
        async with self._slots.one():
            return await self._in_time(self._sample(request, on_delta))

    async def _in_time(self, work: Awaitable[T]) -> T:
        total = self._profile.timeouts.total
        if total is None:
            return await work
        deadline = asyncio.timeout(total)
        try:
            async with deadline:
                return await work
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise timed_out(self._shown, "total", total) from error

    async def served(self) -> list[str]:
        """The names of the models that the server serves. Raises ModelError."""
        try:
            async with asyncio.timeout(self._profile.timeouts.connect):
                status, text = await self._get("models")
        except TRANSPORT_ERRORS as error:
            raise unreached(self._shown, error).error from error
        if status != 200:
            raise refusal(self._shown, status, text.decode(errors="replace"), self._key)
        try:
            return [str(entry["id"]) for entry in decode_json(text)["data"]]
        except (ValueError, KeyError, TypeError) as error:
            raise malformed("its list of models has an unexpected form") from error

    async def waiting(self) -> int | None:
        """How many requests wait in the server's queue; None where it doesn't say: only vLLM does."""
        if self._profile.kind != "vllm":
            return None
        try:
            async with asyncio.timeout(self._profile.timeouts.connect):
                status, text = await self._get("metrics")
        except TRANSPORT_ERRORS:
            return None
        found = WAITING.findall(text) if status == 200 else []
        return int(sum(map(float, found))) if found else None

    async def _get(self, endpoint: str) -> tuple[int, bytes]:
        reply = await self._http.get().send("GET", self._at(endpoint), None)
        body = b""
        try:
            while piece := await reply.piece():
                body += piece
        finally:
            await reply.close()
        return reply.status, body

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()
        await self._unused.close()

    async def render(self, request: Request) -> tuple[int, ...]:
        """The token ids that the chat template makes of the request's messages and tools. Raises ModelError."""
        extra = request.sampling.extra
        body: Json = {"messages": request.messages, **{name: extra[name] for name in TEMPLATE if name in extra}}
        body["add_generation_prompt"] = not request.continue_final
        body["continue_final_message"] = request.continue_final
        if request.tools:
            body["tools"] = tool_fields(request)["tools"]
        return _listed(await self._tokenizer("tokenize", body), "tokens")

    async def encode(self, text: str) -> tuple[int, ...]:
        """The token ids of a piece of text, no special tokens added. Raises ModelError."""
        if not text:
            return ()
        return _listed(await self._tokenizer("tokenize", {"prompt": text, "add_special_tokens": False}), "tokens")

    async def decode(self, token_ids: tuple[int, ...]) -> str:
        """The text of token ids, special tokens included. Raises ModelError."""
        if not token_ids:
            return ""
        text = (await self._tokenizer("detokenize", {"tokens": token_ids})).get("prompt")
        if not isinstance(text, str):
            raise malformed(f"the answer of {self._shown} holds no text")
        return text

    async def _sample(self, request: Request, on_delta: OnDelta | None) -> Completion:
        model = self._model or await self._only_model()
        post = self._post(request, model, on_delta is not None)
        for field in self._unsupported:
            _leave_out(post.body, field)
        extra, profile = request.sampling.extra, self._profile
        completion = read_completion(
            await self._attempts(post, on_delta),
            model,
            profile.price,
            sent=request.prompt_ids,
            weights=profile.weights,
            template=None if post.raw or "chat_template" in extra else profile.template,
        )
        if post.raw and not (request.sampling.top_logprobs or extra.get("logprobs")):
            return replace(completion, top_logprobs=None)  # the endpoint names the sampled token all the same
        return completion

    def _post(self, request: Request, model: str, stream: bool) -> _Post:
        vllm = self._profile.kind == "vllm"
        if vllm and (wrong := complaint(request.sampling.extra, self._profile.unchecked)) is not None:
            raise ModelError(wrong)
        if request.prompt_ids is None:
            return _Post(self._at("chat/completions"), request_body(request, model, stream=stream, token_ids=vllm))
        if not vllm:
            raise self._no_tokens()
        return _Post(self._at("completions"), raw_body(request, model, stream=stream), raw=True)

    def _at(self, endpoint: str) -> str:
        """The URL of an endpoint, which may be one beside `/v1`."""
        found = self._urls.get(endpoint)
        if found is None:
            path = self._url.path if endpoint in BELOW_V1 else self._url.path.removesuffix("/v1")
            found = self._urls[endpoint] = str(self._url.copy_with(path=f"{path}/{endpoint}"))
        return found

    async def _tokenizer(self, endpoint: str, body: Json) -> Json:
        """Ask one of vLLM's own endpoints, which lie beside `/v1`."""
        if self._profile.kind != "vllm":
            raise self._no_tokens()
        model = self._model or await self._only_model()
        post = _Post(self._at(endpoint), {"model": model, **body}, choices=False)
        try:
            return await self._in_time(self._attempts(post, None))
        except ModelError as error:
            if error.status in (404, 405) and model in await self.served():
                raise self._no_tokens() from error
            raise

    def _no_tokens(self) -> ModelError:
        text = f"The server at {self._shown} can't be asked about tokens: use a model on a vLLM server (vllm/NAME@URL)"
        return ModelError(f"{text}, or the in-box model.")

    async def _attempts(self, post: _Post, on_delta: OnDelta | None) -> Json:
        """Try until the server answers, the retries are used up, or a piece of the answer has been passed on."""
        left_out: list[str] = []
        attempt, was_stale = 0, False
        while True:
            listener = Listener(on_delta) if on_delta else None
            try:
                payload = await self._attempt(post, listener, self._unused if was_stale else self._http)
            except AttemptFailed as failed:
                if failed.without is not None:
                    _leave_out(post.body, failed.without)
                    left_out.append(failed.without)
                elif failed.stale and not was_stale:
                    was_stale = True
                elif attempt < self._profile.retries and self._worth_repeating(failed, listener):
                    attempt += 1
                    await self._sleep(wait_before(attempt, failed.wait))
                else:
                    raise await self._final(failed.error) from failed.__cause__
            else:
                self._unsupported.update(left_out)
                self._answered = True
                return payload

    def _worth_repeating(self, failed: AttemptFailed, listener: Listener | None) -> bool:
        error = failed.error
        if listener is not None and listener.heard:
            return False
        if error.kind == "unreachable" and not self._answered:  # more likely a wrong address than a restart
            return False
        return error.retryable and error.kind not in ("timeout", "malformed")

    async def _attempt(self, post: _Post, listener: Listener | None, http: Connections) -> Json:
        content = encode_json(post.body)
        exchange = Exchange(http.get(), post.url, self._shown, content, self._profile.timeouts)
        try:
            if listener is None:
                reply, data = await exchange.whole()
                if reply.status != 200:
                    raise self._refused(reply, data, post.body)
                return self._whole(data, post)
            reply = await exchange.open()
            if reply.status != 200:
                raise self._refused(reply, await exchange.read(), post.body)
            try:
                if "json" in reply.headers.get("content-type", ""):  # a server that doesn't stream
                    return listener.whole(self._whole(await exchange.read(), post))
                async with aclosing(exchange.chunks()) as chunks:
                    return await self._streamed(chunks, listener, post.raw)
            except Enough as enough:
                return listener.enough(enough.reason)
        finally:
            await exchange.close()  # what has not arrived yet is not generated either

    async def _streamed(self, chunks: AsyncIterator[bytes], listener: Listener, raw: bool) -> Json:
        parser = EventParser()
        async for data in chunks:
            for event in parser.feed(data):
                if event == b"[DONE]":
                    await _drain(chunks)
                    return listener.joiner.result()
                listener.hear(self._chunk(event, raw))
        for event in parser.flush():
            if event != b"[DONE]":
                listener.hear(self._chunk(event, raw))
        if listener.joiner.finished:
            return listener.joiner.result()
        text = f"The server at {self._shown} broke off in the middle of its answer; see its log."
        raise AttemptFailed(ModelError(text, kind="cut", retryable=True))

    def _whole(self, data: bytes, post: _Post) -> Json:
        payload = self._checked(data)
        if post.choices and not isinstance(payload.get("choices"), list):
            raise malformed(f"the answer of {self._shown} holds no choices")
        return as_chat(payload, streamed=False) if post.raw else payload

    def _chunk(self, data: bytes, raw: bool) -> Json:
        payload = self._checked(data)
        return as_chat(payload, streamed=True) if raw else payload

    def _checked(self, data: bytes) -> Json:
        """The JSON object in these bytes. Raises ModelError (malformed), or AttemptFailed for an error in it."""
        try:
            payload: Any = decode_json(data)
        except ValueError as error:
            start = without_key(data.decode(errors="replace"), self._key)[:80]
            raise malformed(f"{self._shown} answered with something that is not JSON ({start!r})") from error
        if not isinstance(payload, dict):
            raise malformed(f"{self._shown} answered with something that is not an object")
        if (found := error_in(payload)) is not None:
            raise AttemptFailed(refusal(self._shown, *found, self._key))
        return payload

    def _refused(self, reply: Reply, data: bytes, body: Json) -> AttemptFailed:
        text = data.decode(errors="replace")
        error = refusal(self._shown, reply.status, text, self._key)
        error.wait = retry_after(reply.headers)
        self.overloads += error.kind == "overloaded"
        without = None
        if reply.status in (400, 422):
            names = (name for name in OPTIONAL_FIELDS if name in body and re.search(rf"\b{name}\b", text))
            without = next(names, None)
        if without == "logprobs" and self._profile.kind == "vllm":  # it has them: what it minds is how many
            without = None
        return AttemptFailed(error, wait=error.wait, without=without)

    async def _final(self, error: ModelError) -> ModelError:
        """The error to raise; where a model is not there, one that lists what is."""
        if error.status != 404:
            return error
        try:
            names = await self.served()
        except ModelError:
            return error
        return error if self._model in names else unknown_model(self._shown, self._model, names)

    async def _only_model(self) -> str:
        names = await self.served()
        if len(names) != 1:
            listed = ", ".join(names) or "nothing"
            raise ModelError(f"The server at {self._shown} serves {listed}: name one, as in vllm/NAME@{self._shown}.")
        self._model = names[0]
        return self._model


def _leave_out(body: Json, field: str) -> None:
    """Take an optional field out of a request, and what makes no sense without it."""
    for name in (field, "top_logprobs") if field == "logprobs" else (field,):
        body.pop(name, None)


def _listed(payload: Json, name: str) -> tuple[int, ...]:
    found = payload.get(name)
    if not isinstance(found, list):
        raise malformed(f"its answer holds no {name}")
    return tuple(found)


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read the body's end, which follows at once: a connection that is left before it can't be used again."""
    with suppress(TimeoutError, AttemptFailed):
        async with asyncio.timeout(END_SECONDS):
            async for _ in chunks:
                pass
