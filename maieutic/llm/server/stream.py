"""A streamed answer: bytes to server-sent events, and the events' chunks to one response object.

A stream is joined into the object that a plain answer would have been, so that both are read by one function.
"""

from typing import Any

from maieutic.llm.model import OnDelta
from maieutic.llm.server.wire import (
    KNOWN_MESSAGE,
    Json,
    arguments_of,
    malformed,
    read_completion,
    reasoning_of,
    text_of,
)
from maieutic.types import Delta


class EventParser:
    """Splits a byte stream into the data of its events, whatever the chunks' boundaries are.

    Lines end with LF or CRLF. Comments and fields other than `data` are skipped; the `data` lines of one event are
    joined by LF.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that this chunk completes."""
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        return [event for line in lines if (event := self._line(line)) is not None]

    def flush(self) -> list[bytes]:
        """The data of a last event that the stream ended without completing."""
        self._line(self._rest)
        self._rest = b""
        event = self._line(b"")
        return [] if event is None else [event]

    def _line(self, line: bytes) -> bytes | None:
        line = line.removesuffix(b"\r")
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            event = b"\n".join(self._data)
            self._data.clear()
            return event
        return None


class StreamJoiner:
    """Joins the chunks of a streamed answer into the response object that a plain answer would have been."""

    def __init__(self) -> None:
        self.payload: Json = {}
        self.finished = False
        self._choice: Json = {}
        self._message: Json = {}
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[Json] = []
        self._told = False

    def add(self, chunk: Json) -> Delta | None:
        """Take one chunk; the returned delta is None where it carries no tokens. Raises ModelError (malformed)."""
        try:
            return self._add(chunk)
        except (AttributeError, KeyError, TypeError) as error:
            raise malformed(f"a chunk has an unexpected form ({type(error).__name__}: {error})") from error

    def _add(self, chunk: Json) -> Delta | None:
        for name, value in chunk.items():
            if name != "choices" and value is not None:
                self.payload[name] = value
        choices = chunk.get("choices")
        if not choices:
            return None
        choice = choices[0]
        return None if choice.get("index") else self._add_choice(choice)

    def result(self) -> Json:
        """The whole response object."""
        if self._choice:
            joined = {"content": "".join(self._text), "reasoning": "".join(self._reasoning), "tool_calls": self._calls}
            self.payload["choices"] = [{**self._choice, "message": {**self._message, **joined}}]
        return self.payload

    def _add_choice(self, choice: Json) -> Delta | None:
        delta = choice.get("delta") or {}
        if choice.get("finish_reason") is not None:
            self.finished = True
        for name, value in choice.items():
            if name != "delta" and value is not None:
                _join(self._choice, name, value)
        self._choice.setdefault("index", 0)
        calls = delta.get("tool_calls") or []
        for fragment in calls:
            self._add_call(fragment)
        text, reasoning = text_of(delta.get("content")), reasoning_of(delta)
        self._text.append(text)
        self._reasoning.append(reasoning)
        for name, value in delta.items():
            if name not in KNOWN_MESSAGE and value is not None:
                before = self._message.get(name)
                if isinstance(before, str) and isinstance(value, str):
                    value = before + value
                _join(self._message, name, value)
        ids, logprobs = _tokens_of(choice)
        known = logprobs if ids is None else ids
        if not (text or reasoning or calls or known):
            return None
        prompt = self._prompt()
        return Delta(
            text,
            reasoning,
            1 if known is None else len(known),
            None if prompt is None else len(prompt),
            prompt,
            ids,
            logprobs,
        )

    def _prompt(self) -> tuple[int, ...] | None:
        """The prompt's ids, said once."""
        ids = self.payload.get("prompt_token_ids")
        if self._told or not isinstance(ids, list):
            return None
        self._told = True
        return tuple(ids)

    def _add_call(self, fragment: Json) -> None:
        """Append to the call this fragment belongs to: by index, or where servers leave that out, by a new id."""
        function = fragment.get("function") or {}
        index, call_id = fragment.get("index"), fragment.get("id")
        call = next((c for c in reversed(self._calls) if index is None or c.get("index") == index), None)
        new_id = call_id and call is not None and call.get("id") not in (None, "", call_id)
        if call is None or (new_id and function.get("name")):
            call = {"index": index, "function": {"name": "", "arguments": ""}}
            self._calls.append(call)
        if call_id:
            call["id"] = call_id
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += arguments_of(function.get("arguments"))


class Listener:
    """Joins one attempt's stream and passes its pieces on; `heard` says that some were.

    An exception of `on_delta` comes out of `hear` and `whole`; where it is `Enough`, `enough` has the answer so far.
    """

    def __init__(self, on_delta: OnDelta) -> None:
        self.joiner = StreamJoiner()
        self.heard = False
        self._on_delta = on_delta
        self._whole: Json | None = None

    def hear(self, chunk: Json) -> None:
        """Take one chunk of the stream."""
        delta = self.joiner.add(chunk)
        if delta is not None:
            self._tell(delta)

    def whole(self, payload: Json) -> Json:
        """Take an answer that came in one piece."""
        self._whole = payload
        said = read_completion(payload, "")
        prompt = None if "usage_missing" in said.extra else said.usage.prompt_tokens
        self._tell(Delta(said.text, said.reasoning or "", said.usage.completion_tokens or 1, prompt))
        return payload

    def enough(self, reason: str) -> Json:
        """The response object of what had arrived when `on_delta` had heard enough."""
        payload = self.joiner.result() if self._whole is None else self._whole
        first, *others = payload["choices"]
        return {**payload, "choices": [{**first, "finish_reason": reason}, *others]}

    def _tell(self, delta: Delta) -> None:
        self.heard = True
        self._on_delta(delta)


def _join(target: Json, name: str, value: Any) -> None:
    """Streamed pieces of one field: lists are joined, also inside objects; other values are replaced."""
    before = target.get(name)
    if isinstance(before, list) and isinstance(value, list):
        before.extend(value)
    elif isinstance(before, dict) and isinstance(value, dict):
        for key, inner in value.items():
            if inner is not None:
                _join(before, key, inner)
    else:
        target[name] = value


def _tokens_of(choice: Json) -> tuple[tuple[int, ...] | None, tuple[float, ...] | None]:
    """The ids and log-probabilities of a chunk's tokens, each None where the server doesn't say."""
    ids, logprobs = choice.get("token_ids"), choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    return (
        tuple(ids) if isinstance(ids, list) else None,
        tuple(token["logprob"] for token in content) if isinstance(content, list) else None,
    )
