"""A model that says what a script says: for tests of graphs, tools and recipes, this project's and its users'.

It behaves like a served model in everything but the sampling: it streams, takes time, can be cancelled, fails on
request, and returns token ids and log-probabilities, so that traces and exports of a scripted run are complete.
"""

import asyncio
import inspect
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from maieutic.errors import ModelError
from maieutic.llm.model import Enough, OnDelta, check_raw
from maieutic.types import Completion, Delta, Message, Request, ToolCall

Reply = str | Completion | Exception
Script = Reply | Sequence[Reply] | Mapping[str, Reply | Sequence[Reply]] | Callable[[Request], Reply | Awaitable[Reply]]

MESSAGE_START, MESSAGE_END = 256, 257  # the two token ids above the 256 bytes


def encode(text: str) -> tuple[int, ...]:
    """The scripted model's token ids of a text: its UTF-8 bytes."""
    return tuple(text.encode())


def decode(ids: Sequence[int]) -> str:
    """The text of token ids; message boundaries are left out."""
    return bytes(i for i in ids if i < MESSAGE_START).decode(errors="replace")


def prompt_ids(messages: Sequence[Message], continue_final: bool = False) -> tuple[int, ...]:
    """The token ids of a prompt: a conversation's later prompts extend its earlier ones exactly."""
    ids: list[int] = []
    for message in messages:
        ids += [MESSAGE_START, *encode(message["role"] + "\n"), *encode(_body(message)), MESSAGE_END]
    if continue_final:
        return tuple(ids[:-1])
    return (*ids, MESSAGE_START, *encode("assistant\n"))


def call_tool(name: str, /, **arguments: object) -> Completion:
    """A scripted reply that calls one tool."""
    call = ToolCall("", name, json.dumps(arguments))
    return Completion("", tool_calls=(call,), finish_reason="tool_calls")


@dataclass
class ScriptedModel:
    """A model that answers from `script`.

    The script is one of: one reply, given always; a sequence of replies, given in the order of the calls; a mapping of
    text to either, where the first key found in the system messages (in any message where there is no system message)
    decides; a function of the request, async or not. A reply is a text, a whole `Completion`, or an exception, which
    is raised. A sequence that has run out, or a mapping without a matching key, raises `ModelError`.

    It is a `TokenModel` whose tokens are bytes. A request with `prompt_ids` is answered from the script as well: its
    messages decide about rules, and the reply is what is said after the ids. A scripted `Completion` may bring its
    `top_logprobs` along.

    `latency` is in seconds for each call, spread over the streamed pieces of `piece` characters. `requests` holds every
    request in order, `cancelled` counts the calls that were cancelled, `peak` the most calls that ran at once.
    """

    script: Script
    name: str = "scripted"
    latency: float = 0.0
    piece: int = 8
    requests: list[Request] = field(default_factory=list)
    cancelled: int = 0
    peak: int = 0
    closed: bool = False
    _running: int = 0
    _given: dict[str, int] = field(default_factory=dict)

    async def sample(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """Answer from the script; raises what the script raises, or ModelError where it has nothing to say."""
        check_raw(request)
        number = len(self.requests)
        self.requests.append(request)
        self._running += 1
        self.peak = max(self.peak, self._running)
        started = time.monotonic()
        try:
            reply = await self._reply(request)
            completion = _complete(reply, request, self.name, number)
            heard = _Heard(on_delta)
            try:
                await self._speak(completion, heard if on_delta else None)
            except Enough as enough:
                completion = heard.so_far(completion, enough.reason)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self._running -= 1
        usage = replace(completion.usage, seconds=time.monotonic() - started)
        return replace(completion, usage=usage)

    async def render(self, request: Request) -> tuple[int, ...]:
        """The token ids of the request's messages."""
        return prompt_ids(request.messages, request.continue_final)

    async def encode(self, text: str) -> tuple[int, ...]:
        """The bytes of a text."""
        return encode(text)

    async def decode(self, token_ids: tuple[int, ...]) -> str:
        """The text of token ids; a message's boundaries have none."""
        return decode(token_ids)

    async def close(self) -> None:
        self.closed = True

    async def _reply(self, request: Request) -> str | Completion:
        script = self.script
        if callable(script):
            answer = script(request)
            reply = await answer if inspect.isawaitable(answer) else answer
        elif isinstance(script, Mapping):
            key = _rule(script, request)
            reply = self._next(script[key], key)
        else:
            reply = self._next(script, "")
        if isinstance(reply, Exception):
            await asyncio.sleep(self.latency)
            raise reply
        return reply

    def _next(self, replies: Reply | Sequence[Reply], key: str) -> Reply:
        if isinstance(replies, str | Completion | Exception):
            return replies
        given = self._given.get(key, 0)
        if given >= len(replies):
            where = f" for {key!r}" if key else ""
            raise ModelError(f"The script has {len(replies)} replies{where}, and all of them have been given.")
        self._given[key] = given + 1
        return replies[given]

    async def _speak(self, completion: Completion, on_delta: OnDelta | None) -> None:
        if on_delta is None:
            await asyncio.sleep(self.latency)
            return
        deltas = [Delta(reasoning=piece, tokens=len(encode(piece))) for piece in self._cut(completion.reasoning or "")]
        deltas += [Delta(text=piece, tokens=len(encode(piece))) for piece in self._cut(completion.text)]
        if deltas and completion.prompt_token_ids is not None:
            prompt = completion.prompt_token_ids
            deltas[0] = replace(deltas[0], prompt_tokens=len(prompt), prompt_ids=prompt)
        for delta in deltas:
            await asyncio.sleep(self.latency / len(deltas))
            on_delta(delta)
        if not deltas:
            await asyncio.sleep(self.latency)

    def _cut(self, text: str) -> list[str]:
        return [text[i : i + self.piece] for i in range(0, len(text), self.piece)]


class _Heard:
    """Passes pieces on, and knows what they add up to."""

    def __init__(self, on_delta: OnDelta | None) -> None:
        self._on_delta = on_delta
        self._deltas: list[Delta] = []

    def __call__(self, delta: Delta) -> None:
        self._deltas.append(delta)
        if self._on_delta is not None:
            self._on_delta(delta)

    def so_far(self, completion: Completion, reason: str) -> Completion:
        """The completion as far as it was heard."""
        text, reasoning = "".join(d.text for d in self._deltas), "".join(d.reasoning for d in self._deltas)
        said = (
            f"<think>{reasoning}" if reasoning and not text else _body(Completion(text, reasoning=reasoning).message())
        )
        ids, logprobs, tops = encode(said), completion.logprobs, completion.top_logprobs
        return replace(
            completion,
            text=text,
            reasoning=reasoning or None,
            tool_calls=(),
            finish_reason=reason,
            token_ids=ids,
            logprobs=logprobs and logprobs[: len(ids)],
            top_logprobs=tops and tops[: len(ids)],
            usage=replace(completion.usage, completion_tokens=len(ids)),
        )


def _rule(script: Mapping[str, Reply | Sequence[Reply]], request: Request) -> str:
    system = [_body(m) for m in request.messages if m["role"] == "system"]
    text = "\n".join(system or [_body(m) for m in request.messages])
    for key in script:
        if key in text:
            return key
    raise ModelError(f"No rule of the script ({', '.join(map(repr, script))}) matches the request: {text[:200]!r}")


def _body(message: Message) -> str:
    content = message["content"]
    text = content if isinstance(content, str) else "" if content is None else json.dumps(content)
    if reasoning := message.get("reasoning"):
        text = f"<think>{reasoning}</think>{text}"
    if calls := message.get("tool_calls"):
        text += json.dumps(calls)
    return text


def _complete(reply: str | Completion, request: Request, name: str, number: int) -> Completion:
    """Fill in what a script leaves out: finish reason, token ids, log-probabilities, usage, tool-call ids."""
    completion = Completion(reply) if isinstance(reply, str) else reply
    calls = tuple(replace(c, id=c.id or f"call-{number}-{i}") for i, c in enumerate(completion.tool_calls))
    completion = replace(completion, tool_calls=calls)
    prompt = completion.prompt_token_ids or request.prompt_ids
    if prompt is None:
        prompt = prompt_ids(request.messages, request.continue_final)
    ids = completion.token_ids
    if ids is None:
        body = encode(_body(completion.message()))
        ids = body if completion.finish_reason == "length" else (*body, MESSAGE_END)
    logprobs = completion.logprobs
    if logprobs is None and request.sampling.logprobs:
        logprobs = (-1.0,) * len(ids)
    usage = completion.usage
    if not usage.tokens:
        usage = replace(usage, calls=1, prompt_tokens=len(prompt), completion_tokens=len(ids))
    return replace(
        completion,
        finish_reason=completion.finish_reason or ("tool_calls" if calls else "stop"),
        prompt_token_ids=prompt,
        token_ids=ids,
        logprobs=logprobs,
        usage=usage,
        model=completion.model or name,
        weights=completion.weights or "scripted",
        template=completion.template or (None if request.prompt_ids is not None else "scripted"),
    )
