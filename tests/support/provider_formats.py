"""The wire formats of OpenAI, Anthropic, Gemini, Ollama and Mistral: what is accepted, answers, events and errors."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
MODEL = "m"
SIGNATURE = "c2lnbmF0dXJl"


@dataclass
class Said:
    """One answer. `calls` are (name, arguments); `finish` is stop, length or filter (tool calls are noticed).

    With a `status` other than 200, `text` is the error's message. `body` is sent as it is. `cut_after` closes the
    connection after so many events (0: before any byte), with `clean_cut` as if the body were complete.
    """

    text: str = "hello there"
    reasoning: str = ""
    calls: Sequence[tuple[str, Json]] = ()
    finish: str = "stop"
    usage: bool = True
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    kind: str | None = None
    delay: float = 0.0
    chunk_delay: float = 0.0
    stall: float = 0.0
    stall_after: int | None = None
    cut_after: int | None = None
    clean_cut: bool = False
    inject: tuple[int, bytes] | None = None  # an event of one's own, before the one with this number


class Refused(Exception):
    """The request is not accepted."""

    def __init__(self, status: int, payload: Json) -> None:
        super().__init__(status)
        self.status = status
        self.body = json.dumps(payload).encode()


def pieces(text: str, size: int = 4) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def sse(event: Json, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(event)}\n\n".encode()


class Format:
    """One wire format. `root` is what comes before its paths in a profile's base_url."""

    root = ""
    stream_kind = "text/event-stream"
    known: frozenset[str] = frozenset()

    def check(self, path: str, headers: dict[str, str], body: Json, key: str | None) -> bool:
        """Whether a stream is asked for. Raises Refused."""
        raise NotImplementedError

    def whole(self, body: Json, said: Said) -> Json:
        raise NotImplementedError

    def stream(self, body: Json, said: Said) -> list[bytes]:
        raise NotImplementedError

    def error(self, status: int, message: str) -> bytes:
        raise NotImplementedError

    def events(self, body: Json, said: Said) -> list[bytes]:
        events = self.stream(body, said)
        if said.inject is not None:
            events.insert(*said.inject)
        return events

    def refuse(self, status: int, message: str) -> Refused:
        return Refused(status, json.loads(self.error(status, message)))


class OpenAI(Format):
    """Chat completions, as platform.openai.com describes them."""

    root = "/v1"
    known = frozenset(
        "model messages temperature top_p max_tokens max_completion_tokens stop seed stream stream_options logprobs "
        "top_logprobs tools tool_choice response_format parallel_tool_calls".split()
    )
    ids = ("call_aB3dE5fG7hI9", "call_bC4eF6gH8iJ0")
    finishes = {"stop": "stop", "length": "length", "filter": "content_filter"}

    def check(self, path: str, headers: dict[str, str], body: Json, key: str | None) -> bool:
        assert path == "/v1/chat/completions", path
        if key is not None and headers.get("Authorization") != f"Bearer {key}":
            raise self.refuse(401, f"Incorrect API key provided: {headers.get('Authorization')}.")
        if body["model"] != MODEL and not body["model"].startswith("gpt"):
            raise self.refuse(404, f"The model `{body['model']}` does not exist or you do not have access to it.")
        for name in body.keys() - self.known:
            raise self.refuse(400, f"Unrecognized request argument supplied: {name}")
        self.check_messages(body)
        return bool(body.get("stream"))

    def check_messages(self, body: Json) -> None:
        open_ids: set[str] = set()
        for message in body["messages"]:
            if extra := message.keys() - {"role", "content", "tool_calls", "tool_call_id", "name", "prefix"}:
                raise self.refuse(400, f"Unknown parameter: 'messages[0].{min(extra)}'.")
            open_ids |= {call["id"] for call in message.get("tool_calls") or ()}
            if message["role"] == "tool" and message["tool_call_id"] not in open_ids:
                raise self.refuse(400, "messages with role 'tool' must be a response to a preceding message")

    def error(self, status: int, message: str) -> bytes:
        kinds = {401: "invalid_request_error", 429: "requests", 500: "server_error"}
        codes = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
        inner = {"message": message, "type": kinds.get(status, "invalid_request_error"), "param": None}
        return json.dumps({"error": {**inner, "code": codes.get(status)}}).encode()

    def usage(self) -> Json:
        details = {"cached_tokens": 3, "audio_tokens": 0}
        return {
            "prompt_tokens": 11,
            "completion_tokens": 7,
            "total_tokens": 18,
            "prompt_tokens_details": details,
            "completion_tokens_details": {"reasoning_tokens": 0},
        }

    def finish(self, said: Said) -> str:
        return "tool_calls" if said.calls else self.finishes[said.finish]

    def content(self, said: Said) -> Any:
        return said.text or None

    def base(self, body: Json, kind: str) -> Json:
        return {"id": "chatcmpl-1", "object": kind, "created": 1700000000, "model": body["model"]}

    def whole(self, body: Json, said: Said) -> Json:
        message: Json = {"role": "assistant", "content": self.content(said)}
        if said.calls:
            message["tool_calls"] = [self.call(i, n, json.dumps(a)) for i, (n, a) in enumerate(said.calls)]
        choice: Json = {"index": 0, "message": message, "finish_reason": self.finish(said)}
        if body.get("logprobs"):
            choice["logprobs"] = self.logprobs(said.text, body)
        usage = {"usage": self.usage()} if said.usage else {}
        return {**self.base(body, "chat.completion"), "choices": [choice], **usage}

    def call(self, i: int, name: str, arguments: str) -> Json:
        return {"id": self.ids[i], "type": "function", "function": {"name": name, "arguments": arguments}}

    def logprobs(self, text: str, body: Json) -> Json:
        content = []
        for letter in text:
            tops = [{"token": letter, "logprob": -0.25, "bytes": None}, {"token": "?", "logprob": -1.5, "bytes": None}]
            content.append({**tops[0], "top_logprobs": tops[: body.get("top_logprobs", 0)]})
        return {"content": content, "refusal": None}

    def deltas(self, body: Json, said: Said) -> list[Json]:
        choices: list[Json] = [{"delta": {"role": "assistant", "content": ""}}]
        for piece in pieces(said.text):
            choices.append({"delta": {"content": piece}})
            if body.get("logprobs"):
                choices[-1]["logprobs"] = self.logprobs(piece, body)
        for i, (name, arguments) in enumerate(said.calls):
            choices.append({"delta": {"tool_calls": [{"index": i, **self.call(i, name, "")}]}})
            for piece in pieces(json.dumps(arguments)):
                choices.append({"delta": {"tool_calls": [{"index": i, "function": {"arguments": piece}}]}})
        return choices

    def stream(self, body: Json, said: Said) -> list[bytes]:
        base = self.base(body, "chat.completion.chunk")
        last = {"delta": {}, "finish_reason": self.finish(said)}
        events = [
            sse({**base, "choices": [{"index": 0, "finish_reason": None, **choice}], "usage": None})
            for choice in [*self.deltas(body, said), last]
        ]
        if said.usage and (body.get("stream_options") or {}).get("include_usage"):
            events.append(sse({**base, "choices": [], "usage": self.usage()}))
        return [*events, b"data: [DONE]\n\n"]


class Mistral(OpenAI):
    """Mistral's chat: fields it doesn't know are refused, ids have nine characters, thoughts are chunks of content."""

    known = frozenset(
        "model messages temperature top_p max_tokens stop random_seed stream tools tool_choice response_format "
        "parallel_tool_calls n presence_penalty frequency_penalty prompt_mode safe_prompt".split()
    )
    ids = ("aB3dE5fG7", "bC4eF6gH8")
    finishes = {"stop": "stop", "length": "model_length", "filter": "content_filter"}

    def check(self, path: str, headers: dict[str, str], body: Json, key: str | None) -> bool:
        assert path == "/v1/chat/completions", path
        if key is not None and headers.get("Authorization") != f"Bearer {key}":
            raise Refused(401, {"detail": "Unauthorized"})
        if body["model"] not in (MODEL, "mistral-large-latest"):
            raise self.refuse(400, f"Invalid model: {body['model']}")
        for name in body.keys() - self.known:
            raise _extra_forbidden(["body", name])
        for i, message in enumerate(body["messages"]):
            ids = [call["id"] for call in message.get("tool_calls") or ()]
            for call_id in [*ids, *([message["tool_call_id"]] if "tool_call_id" in message else [])]:
                if not re.fullmatch("[a-zA-Z0-9]{9}", call_id):
                    text = f"Tool call id was {call_id} but must be a-z, A-Z, 0-9, with a length of 9."
                    raise self.refuse(400, text)
            for name in message.keys() - {"role", "content", "tool_calls", "tool_call_id", "name", "prefix"}:
                raise _extra_forbidden(["body", "messages", i, message["role"], name])
        self.check_messages(body)
        return bool(body.get("stream"))

    def error(self, status: int, message: str) -> bytes:
        kind = {429: "service_tier_capacity_exceeded", 500: "internal_server_error"}.get(
            status, "invalid_request_error"
        )
        return json.dumps({"object": "error", "message": message, "type": kind, "param": None, "code": "3000"}).encode()

    def usage(self) -> Json:
        return {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}

    def content(self, said: Said) -> Any:
        if not said.reasoning:
            return said.text
        return [_thinking(said.reasoning), {"type": "text", "text": said.text}]

    def deltas(self, body: Json, said: Said) -> list[Json]:
        first, *others = super().deltas(body, said)
        thoughts = [{"delta": {"content": [_thinking(piece)]}} for piece in pieces(said.reasoning)]
        if thoughts:
            for choice in others:
                if isinstance(choice["delta"].get("content"), str):
                    choice["delta"]["content"] = [{"type": "text", "text": choice["delta"]["content"]}]
        return [first, *thoughts, *others]

    def stream(self, body: Json, said: Said) -> list[bytes]:
        base = self.base(body, "chat.completion.chunk")
        events = [
            sse({**base, "choices": [{"index": 0, "finish_reason": None, **choice}]})
            for choice in self.deltas(body, said)
        ]
        usage = {"usage": self.usage()} if said.usage else {}
        last = {"index": 0, "delta": {"content": ""}, "finish_reason": self.finish(said)}
        return [*events, sse({**base, "choices": [last], **usage}), b"data: [DONE]\n\n"]


class Anthropic(Format):
    """The Messages API."""

    known = frozenset(
        "model messages system max_tokens temperature top_p top_k stop_sequences stream tools tool_choice thinking "
        "metadata output_config output_format".split()
    )
    finishes = {"stop": "end_turn", "length": "max_tokens", "filter": "refusal"}

    def check(self, path: str, headers: dict[str, str], body: Json, key: str | None) -> bool:
        assert path == "/v1/messages", path
        lower = {name.lower(): value for name, value in headers.items()}
        if key is not None and lower.get("x-api-key") != key:
            raise self.refuse(401, "invalid x-api-key")
        if "anthropic-version" not in lower or "max_tokens" not in body:
            raise self.refuse(400, "max_tokens: Field required")
        if body["model"] != MODEL and not body["model"].startswith("claude"):
            raise self.refuse(404, f"model: {body['model']}")
        for name in body.keys() - self.known:
            raise self.refuse(400, f"{name}: Extra inputs are not permitted")
        self.check_turns(body)
        return bool(body.get("stream"))

    def check_turns(self, body: Json) -> None:
        """A tool's result follows its call, and a turn that thought begins with the thought as it was signed."""
        called: set[str] = set()
        for i, message in enumerate(body["messages"]):
            blocks = message["content"] if isinstance(message["content"], list) else []
            uses = [block["id"] for block in blocks if block["type"] == "tool_use"]
            if uses and body.get("thinking", {}).get("type") == "enabled":
                first = blocks[0]
                if first["type"] != "thinking":
                    text = f"messages.{i}.content.0.type: Expected `thinking` or `redacted_thinking`, but found other."
                    raise self.refuse(400, text)
                if first["signature"] != SIGNATURE:
                    raise self.refuse(400, f"messages.{i}.content.0: Invalid `signature` in `thinking` block")
            for block in blocks:
                if block["type"] == "tool_result" and block["tool_use_id"] not in called:
                    text = f"messages.{i}.content.0: unexpected `tool_use_id` found in `tool_result` blocks"
                    raise self.refuse(400, text)
            called = set(uses)

    def error(self, status: int, message: str) -> bytes:
        kinds = {
            401: "authentication_error",
            403: "permission_error",
            404: "not_found_error",
            429: "rate_limit_error",
            500: "api_error",
            529: "overloaded_error",
        }
        inner = {"type": kinds.get(status, "invalid_request_error"), "message": message}
        return json.dumps({"type": "error", "error": inner, "request_id": "req_1"}).encode()

    def blocks(self, said: Said) -> list[Json]:
        found: list[Json] = []
        if said.reasoning:
            found.append({"type": "thinking", "thinking": said.reasoning, "signature": SIGNATURE})
        if said.text:
            found.append({"type": "text", "text": said.text})
        for i, (name, arguments) in enumerate(said.calls):
            found.append({"type": "tool_use", "id": f"toolu_0{i}", "name": name, "input": arguments})
        return found

    def message(self, body: Json, **fields: Any) -> Json:
        return {"id": "msg_01", "type": "message", "role": "assistant", "model": body["model"], **fields}

    def prompt_usage(self) -> Json:
        return {"input_tokens": 8, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 3}

    def finish(self, said: Said) -> str:
        return "tool_use" if said.calls else self.finishes[said.finish]

    def whole(self, body: Json, said: Said) -> Json:
        usage = {"usage": {**self.prompt_usage(), "output_tokens": 7}} if said.usage else {}
        end = {"stop_reason": self.finish(said), "stop_sequence": None}
        return self.message(body, content=self.blocks(said), **end, **usage)

    def stream(self, body: Json, said: Said) -> list[bytes]:
        start = self.message(body, content=[], stop_reason=None, stop_sequence=None)
        if said.usage:
            start["usage"] = {**self.prompt_usage(), "output_tokens": 1}
        events: list[Json] = [{"type": "message_start", "message": start}, {"type": "ping"}]
        for i, block in enumerate(self.blocks(said)):
            empty, deltas = _in_pieces(block)
            events.append({"type": "content_block_start", "index": i, "content_block": empty})
            events += [{"type": "content_block_delta", "index": i, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", "index": i})
        end: Json = {"type": "message_delta", "delta": {"stop_reason": self.finish(said), "stop_sequence": None}}
        if said.usage:
            end["usage"] = {**self.prompt_usage(), "output_tokens": 7}
        return [sse(event, event["type"]) for event in [*events, end, {"type": "message_stop"}]]


def _in_pieces(block: Json) -> tuple[Json, list[Json]]:
    """A block as it starts, and the deltas that fill it."""
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        return empty, [*deltas, {"type": "signature_delta", "signature": block["signature"]}]
    if block["type"] == "text":
        return {"type": "text", "text": ""}, [{"type": "text_delta", "text": p} for p in pieces(block["text"])]
    deltas = [
        {"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces(json.dumps(block["input"]))]
    ]
    return {**block, "input": {}}, deltas


def _thinking(text: str) -> Json:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def _extra_forbidden(where: list[Any]) -> Refused:
    detail = {"type": "extra_forbidden", "loc": where, "msg": "Extra inputs are not permitted", "input": None}
    return Refused(422, {"object": "error", "message": {"detail": [detail]}, "type": "invalid_request_error"})
