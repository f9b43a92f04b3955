"""Lines of a run: values to JSON payloads and back, with repeated prompts written as differences.

The encoder and the decoder walk through a run's lines in the same order and keep the same view of what earlier calls
contain; neither outlives its run.
"""

import hashlib
from dataclasses import fields
from typing import Any

from maieutic.errors import TraceError
from maieutic.trace.payload import dump, floats
from maieutic.trace.prefix import WIDTH, PrefixTree, pack, unpack
from maieutic.trace.record import CallRecord, Parent, RunEvent, RunHeader
from maieutic.types import Completion, Message, Request, Sampling, ToolCall, ToolSpec, Usage


def encode_header(header: RunHeader) -> bytes:
    return dump({"kind": "run", "run": header.run_id, "data": header})


def encode_event(run_id: str, event: RunEvent) -> bytes:
    return dump({"kind": event.kind, "run": run_id, "t": event.time, "data": event.fields})


def _digest(packed: bytes) -> str:
    return hashlib.sha256(packed).hexdigest()[:16]


class RunEncoder:
    """Turns a run's calls into payloads; holds each distinct part of its prompts once."""

    def __init__(self) -> None:
        self._ids = PrefixTree()
        self._messages = PrefixTree()
        self._numbers: dict[object, int] = {}
        self._tools: list[tuple[tuple[ToolSpec, ...], str]] = []

    def call(self, record: CallRecord) -> bytes:
        """The payload of one call; TraceError when a field has no JSON form."""
        request, completion = record.request, record.completion
        line = {
            "kind": "call",
            "run": record.run_id,
            "call": record.call_id,
            "parents": record.parents,
            "node": record.node,
            "role": record.role,
            "branch": record.branch,
            "turn": record.turn,
            "model": record.model,
            "t0": record.t0,
            "t1": record.t1,
            "gold_in_context": record.gold_in_context,
            "error": record.error,
            "cancelled": record.cancelled,
            "sampling": request.sampling,
            "continue_final": request.continue_final,
            "tools": self._tools_of(record),
            "messages": self._messages_of(record),
            "prompt": self._prompt_of(record),
            "completion": None if completion is None else _completion(completion),
        }
        if request.schema is not None:
            line["schema"] = request.schema
        if request.tool_choice is not None:
            line["tool_choice"] = request.tool_choice
        if request.prompt_ids is not None:
            line["raw"] = self._raw_of(record)
        return dump(line)

    def _tools_of(self, record: CallRecord) -> Any:
        tools = record.request.tools
        for known, call_id in self._tools:
            if known == tools:
                return {"as": call_id}
        if tools:
            self._tools.append((tools, record.call_id))
        return tools

    def _messages_of(self, record: CallRecord) -> dict[str, Any]:
        messages = record.request.messages
        packed = pack(map(self._number, messages))
        base, keep = self._messages.find(packed)
        whole = packed if record.completion is None else packed + pack([self._number(record.completion.message())])
        self._messages.add(whole, record.call_id)
        return {"base": base, "keep": keep, "tail": messages[keep:]}

    def _number(self, message: Message) -> int:
        key: object = tuple(message.items())
        if not all([type(value) is str for value in message.values()]):
            key = dump(dict(message))
        return self._numbers.setdefault(key, len(self._numbers))

    def _prompt_of(self, record: CallRecord) -> dict[str, Any] | None:
        completion = record.completion
        if completion is None or completion.prompt_token_ids is None:
            return None
        delta, packed = self._ids_of(completion.prompt_token_ids)
        self._ids.add(packed + _pack(completion.token_ids or ()), record.call_id)
        return delta

    def _raw_of(self, record: CallRecord) -> Any:
        """The ids that were sent; True where the model saw the same, which is the rule."""
        sent, completion = record.request.prompt_ids, record.completion
        if completion is not None and completion.prompt_token_ids == sent:
            return True
        return self._ids_of(sent or ())[0]

    def _ids_of(self, ids: tuple[int, ...]) -> tuple[dict[str, Any], bytes]:
        packed = _pack(ids)
        base, keep = self._ids.find(packed)
        return {"base": base, "keep": keep, "ids": ids[keep:], "sha": _digest(packed)}, packed


def _pack(ids: tuple[int, ...]) -> bytes:
    try:
        return pack(ids)
    except (OverflowError, TypeError) as error:
        raise TraceError(f"Token ids must be integers from 0 to 4294967295: {error}.") from error


def _completion(completion: Completion) -> dict[str, Any]:
    line = {name: getattr(completion, name) for name in _ANSWER}
    line["logprobs"] = floats(completion.logprobs)
    if completion.top_logprobs is not None:
        line["top_logprobs"] = [[[t for t, _ in top], floats([p for _, p in top])] for top in completion.top_logprobs]
    return line


class RunDecoder:
    """Turns the payloads of one run, in the order they were written, back into calls."""

    def __init__(self) -> None:
        self._ids: dict[str, bytes] = {}
        self._messages: dict[str, tuple[Message, ...]] = {}
        self._tools: dict[str, tuple[ToolSpec, ...]] = {}

    def call(self, line: dict[str, Any]) -> CallRecord:
        """One call; TraceError when its prompt can't be rebuilt to the digest it was written with."""
        try:
            return self._call(line)
        except (KeyError, TypeError, ValueError) as error:
            call, run = line.get("call"), line.get("run")
            raise TraceError(f"Call {call} of run {run} can't be rebuilt: {type(error).__name__} {error}.") from error

    def _call(self, line: dict[str, Any]) -> CallRecord:
        call_id = line["call"]
        tools = line["tools"]
        if isinstance(tools, dict):
            specs = self._tools[tools["as"]]
        else:
            specs = self._tools[call_id] = tuple(ToolSpec(**tool) for tool in tools)
        messages = self._part(self._messages, line["messages"]) + tuple(line["messages"]["tail"])
        sampling = Sampling(**{**line["sampling"], "stop": tuple(line["sampling"]["stop"])})
        completion = self._completion(line)
        sent = self._sent(line.get("raw"), completion)
        self._messages[call_id] = messages if completion is None else (*messages, completion.message())
        return CallRecord(
            run_id=line["run"],
            call_id=call_id,
            model=line["model"],
            request=Request(
                messages,
                sampling,
                specs,
                line["continue_final"],
                schema=line.get("schema"),
                prompt_ids=sent,
                tool_choice=line.get("tool_choice"),
            ),
            completion=completion,
            t0=line["t0"],
            t1=line["t1"],
            parents=tuple(Parent(**parent) for parent in line["parents"]),
            **{name: line[name] for name in _PLAIN},
        )

    def _sent(self, raw: Any, completion: Completion | None) -> tuple[int, ...] | None:
        """The ids that were sent, once the call's own prompt is known: they may begin as that does."""
        if raw is True:
            return None if completion is None else completion.prompt_token_ids
        return None if raw is None else self._ids_from(raw)[1]

    @staticmethod
    def _part(known: dict[str, tuple[Message, ...]], delta: dict[str, Any]) -> tuple[Message, ...]:
        return () if delta["base"] is None else known[delta["base"]][: delta["keep"]]

    def _completion(self, line: dict[str, Any]) -> Completion | None:
        answer = line["completion"]
        if answer is None:
            return None
        ids, logprobs, tops = answer["token_ids"], answer["logprobs"], answer.get("top_logprobs")
        return Completion(
            **{
                **answer,
                "tool_calls": tuple(ToolCall(**call) for call in answer["tool_calls"]),
                "usage": Usage(**answer["usage"]),
                "token_ids": None if ids is None else tuple(ids),
                "logprobs": None if logprobs is None else tuple(float(value) for value in logprobs),
                "top_logprobs": None if tops is None else tuple(_alternatives(*top) for top in tops),
            },
            prompt_token_ids=self._prompt(line),
        )

    def _prompt(self, line: dict[str, Any]) -> tuple[int, ...] | None:
        if line["prompt"] is None:
            return None
        packed, ids = self._ids_from(line["prompt"])
        self._ids[line["call"]] = packed + pack(line["completion"]["token_ids"] or ())
        return ids

    def _ids_from(self, delta: dict[str, Any]) -> tuple[bytes, tuple[int, ...]]:
        base = b"" if delta["base"] is None else self._ids[delta["base"]]
        packed = base[: delta["keep"] * WIDTH] + pack(delta["ids"])
        if _digest(packed) != delta["sha"]:
            raise ValueError("the prompt's token ids do not match their digest")
        return packed, unpack(packed)


def _alternatives(texts: list[str], logprobs: list[float | str]) -> tuple[tuple[str, float], ...]:
    return tuple((text, float(value)) for text, value in zip(texts, logprobs, strict=True))


_APART = ("prompt_token_ids", "logprobs", "top_logprobs")
_ANSWER = tuple(f.name for f in fields(Completion) if f.name not in _APART)
_PLAIN = ("node", "role", "branch", "turn", "gold_in_context", "error", "cancelled")
