"""`otel`: runs as OpenTelemetry spans, a line of OTLP JSON each: the run, its model calls and tool calls below it.

Attribute names come from one file, `configs/otel_genai.yaml`, and from nowhere else.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import yaml

from maieutic.recipes.formats.messages import left_out, text_of
from maieutic.recipes.items import Episode, Item
from maieutic.recipes.recipe import Row, Tally, row_format
from maieutic.trace.record import CallRecord, RunEvent, RunRecord
from maieutic.types import Message

_INTERNAL, _CLIENT, _ERROR = 1, 3, 2


@row_format("otel")
def otel(items: Iterable[Item], tally: Tally) -> Iterator[Row]:
    for item in items:
        if isinstance(item, Episode):
            yield spans_of(item.run, item.calls)
        else:
            left_out(item, tally)


@lru_cache(maxsize=1)
def mapping() -> dict[str, Any]:
    """The mapping file: `version`, `operations` and `attributes`."""
    loaded: dict[str, Any] = yaml.safe_load((files("maieutic.configs") / "otel_genai.yaml").read_text("utf-8"))
    return loaded


def spans_of(run: RunRecord, calls: tuple[CallRecord, ...]) -> Row:
    """One run as OTLP's `TracesData`."""
    trace, root = _hex(run.header.run_id, 32), _hex(run.header.run_id, 16)
    ends = [call.t1 for call in calls] + [event.time for event in run.events]
    end = run.finish.time if run.finish else max(ends, default=run.header.started)
    spans = [_span(trace, root, None, "run", f"invoke_workflow {run.header.graph}", run.header.started, end, _run(run))]
    for call in calls:
        own = _hex(f"{run.header.run_id}/{call.call_id}", 16)
        named = f"chat {call.model}"
        span = _span(trace, own, root, "call", named, call.t0, call.t1, _call(call), call.error)
        span["links"] = [
            {
                "traceId": trace,
                "spanId": _hex(f"{run.header.run_id}/{p.call_id}", 16),
                "attributes": _attributes({"maieutic.parent": p.type}, raw=True),
            }
            for p in call.parents
        ]
        spans.append(span)
    for number, event in enumerate(run.events_of("tool_result")):
        spans.append(_tool(run, trace, root, number, event))
    scope = {"name": "maieutic", "version": version("maieutic")}
    resource = {"attributes": _attributes({"service.name": "maieutic"}, raw=True)}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}]}


def _run(run: RunRecord) -> dict[str, Any]:
    finish = run.finish.fields if run.finish else {}
    return {
        "workflow": run.header.graph,
        "conversation": run.header.run_id,
        "score_name": "correct" if finish.get("outcome") else None,
        "score_value": finish.get("score"),
        "score_label": finish.get("outcome"),
    }


def _call(call: CallRecord) -> dict[str, Any]:
    sampling, completion = call.request.sampling, call.completion
    system = [message for message in call.request.messages if message["role"] == "system"]
    said = [message for message in call.request.messages if message["role"] != "system"]
    facts: dict[str, Any] = {
        "provider": call.model.partition("/")[0],
        "agent": call.role,
        "request_model": call.model,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        "system_instructions": _json([_part(message) for message in system]) if system else None,
        "input_messages": _json([_message(message) for message in said]),
        "node": call.node,
        "branch": call.branch or None,
    }
    if completion is not None:
        reply = {**_message(completion.message()), "finish_reason": completion.finish_reason}
        facts |= {
            "response_model": completion.model or None,
            "finish_reasons": [completion.finish_reason] if completion.finish_reason else None,
            "prompt_tokens": completion.usage.prompt_tokens,
            "completion_tokens": completion.usage.completion_tokens,
            "cached_tokens": completion.usage.cached_tokens,
            "output_messages": _json([reply]),
            "weights": completion.weights,
        }
    return facts


def _tool(run: RunRecord, trace: str, root: str, number: int, event: RunEvent) -> Row:
    fields = event.fields
    asked = fields.get("call_id")
    above = _hex(f"{run.header.run_id}/{asked}", 16) if asked else root
    facts = {
        "tool_name": fields["name"],
        "tool_call_id": fields["tool_call_id"],
        "tool_arguments": fields["arguments"],
        "tool_result": str(fields["content"]),
        "branch": fields.get("branch") or None,
    }
    start = event.time - float(fields.get("seconds", 0.0))
    own = _hex(f"{run.header.run_id}/tool/{number}", 16)
    error = None if fields["status"] == "ok" else str(fields["status"])
    return _span(trace, own, above, "tool", f"execute_tool {fields['name']}", start, event.time, facts, error)


def _span(
    trace: str,
    own: str,
    above: str | None,
    kind: str,
    name: str,
    start: float,
    end: float,
    facts: Mapping[str, Any],
    error: str | None = None,
) -> Row:
    span: Row = {
        "traceId": trace,
        "spanId": own,
        "name": name,
        "kind": _CLIENT if kind == "call" else _INTERNAL,
        "startTimeUnixNano": str(int(start * 1e9)),
        "endTimeUnixNano": str(int(max(start, end) * 1e9)),
        "attributes": _attributes({"operation": mapping()["operations"][kind], "error": error, **facts}),
    }
    if above is not None:
        span["parentSpanId"] = above
    if error is not None:
        span["status"] = {"code": _ERROR, "message": error}
    return span


def _attributes(facts: Mapping[str, Any], raw: bool = False) -> list[Row]:
    """Facts as OTLP attributes, by the names of the mapping; a fact that is None has none."""
    names = {} if raw else mapping()["attributes"]
    return [
        {"key": name, "value": _value(value)}
        for fact, value in facts.items()
        if value is not None and (name := fact if raw else names.get(fact))
    ]


def _value(value: Any) -> Row:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(one) for one in value]}}
    return {"stringValue": str(value)}


def _message(message: Message) -> Row:
    parts: list[Row] = []
    if reasoning := message.get("reasoning"):
        parts.append({"type": "reasoning", "content": reasoning})
    if message["role"] == "tool":
        parts.append({"type": "tool_call_response", "id": message.get("tool_call_id"), "response": text_of(message)})
    elif text := text_of(message):
        parts.append({"type": "text", "content": text})
    for call in message.get("tool_calls") or ():
        function = call["function"]
        parts.append(
            {"type": "tool_call", "id": call["id"], "name": function["name"], "arguments": function["arguments"]}
        )
    return {"role": message["role"], "parts": parts}


def _part(message: Message) -> Row:
    return {"type": "text", "content": text_of(message)}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _hex(name: str, digits: int) -> str:
    return sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
