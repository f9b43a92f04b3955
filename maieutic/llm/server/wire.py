"""The OpenAI chat protocol's JSON on one side, Maieutic's requests and completions on the other.

Response fields that Maieutic does not know are kept in `Completion.extra`; only nulls are left out.
"""

import json
from typing import Any

import orjson

from maieutic.errors import ModelError
from maieutic.llm.profile import Price
from maieutic.types import Completion, Request, ToolCall, Usage

Json = dict[str, Any]
Alternatives = tuple[tuple[tuple[str, float], ...], ...]

KNOWN_TOP = {"object", "model", "choices", "usage", "prompt_token_ids"}
KNOWN_CHOICE = {"index", "message", "delta", "finish_reason", "token_ids", "logprobs"}
KNOWN_MESSAGE = {"role", "content", "tool_calls", "reasoning", "reasoning_content"}
KNOWN_USAGE = {"prompt_tokens", "completion_tokens", "total_tokens"}


def encode_json(value: Any) -> bytes:
    """The JSON of a request; text that is not valid Unicode is escaped."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()


def decode_json(data: bytes) -> Any:
    """The value in these bytes; NaN and Infinity are read as well. Raises ValueError."""
    try:
        return orjson.loads(data)
    except ValueError:
        return json.loads(data)


def request_body(request: Request, model: str, *, stream: bool, token_ids: bool) -> Json:
    """The body of a chat completion request. `token_ids` asks for them in vLLM's way.

    Raises ModelError for a request that goes on from token ids: a chat has no place for them.
    """
    if request.prompt_ids is not None:
        raise ModelError(f"{model} can't go on from token ids: use a model on a vLLM server, or the in-box model.")
    sampling = request.sampling
    body: Json = {"model": model, "messages": request.messages, **sampling_fields(request, stream=stream)}
    if sampling.logprobs or sampling.top_logprobs:
        body["logprobs"] = True
    if sampling.top_logprobs:
        body["top_logprobs"] = sampling.top_logprobs
    body.update(tool_fields(request))
    if token_ids:
        body["return_token_ids"] = True
    if request.continue_final:
        body["add_generation_prompt"] = False
        body["continue_final_message"] = True
    body.update(sampling.extra)
    return body


def sampling_fields(request: Request, *, stream: bool) -> Json:
    """What is sampled and how, in the words of both endpoints, log-probabilities apart."""
    body: Json = {}
    for name in ("temperature", "top_p", "top_k", "max_tokens", "seed"):
        if (value := getattr(request.sampling, name)) is not None:
            body[name] = value
    if request.sampling.stop:
        body["stop"] = request.sampling.stop
    if request.schema is not None:
        form = {"name": "reply", "schema": request.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return body


def tool_fields(request: Request) -> Json:
    """The tools that the model is told of, and whether it may call them."""
    if not request.tools:
        return {}
    functions = [{"name": t.name, "description": t.description, "parameters": t.parameters} for t in request.tools]
    body: Json = {"tools": [{"type": "function", "function": function} for function in functions]}
    if request.tool_choice is not None:
        body["tool_choice"] = request.tool_choice
    return body


def read_completion(
    payload: Json,
    asked: str,
    price: Price | None = None,
    *,
    sent: tuple[int, ...] | None = None,
    weights: str | None = None,
    template: str | None = None,
) -> Completion:
    """The completion in a response object; `asked` is the model's name where the server gives none, `sent` the prompt's
    token ids likewise. `weights` and `template` are the completion's.

    Raises ModelError (malformed) when there is no message in it or its parts have other types. Usage that the server
    leaves out is counted from token ids where there are any; otherwise `extra["usage_missing"]` is True and the counts
    mean nothing.
    """
    try:
        return _read(payload, asked, price, sent, weights, template)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise malformed(f"a part of its answer has an unexpected form ({type(error).__name__}: {error})") from error


def _read(
    payload: Json,
    asked: str,
    price: Price | None,
    sent: tuple[int, ...] | None,
    weights: str | None,
    template: str | None,
) -> Completion:
    choice = _first_choice(payload)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise malformed("its answer holds no message")
    prompt_ids = _ids(payload.get("prompt_token_ids"))
    ids = _ids(choice.get("token_ids"))
    extra = _unknown(payload, KNOWN_TOP)
    for name, part in (("choice", _unknown(choice, KNOWN_CHOICE)), ("message", _unknown(message, KNOWN_MESSAGE))):
        if part:
            extra[name] = part
    if len(payload["choices"]) > 1:
        extra["choices"] = payload["choices"][1:]
    usage = _usage(payload.get("usage"), prompt_ids, ids, price, extra)
    logprobs, top_logprobs = _logprobs(choice.get("logprobs"))
    return Completion(
        text=text_of(message.get("content")),
        tool_calls=_tool_calls(message.get("tool_calls")),
        reasoning=reasoning_of(message) or None,
        finish_reason=choice.get("finish_reason"),
        prompt_token_ids=sent if prompt_ids is None else prompt_ids,
        token_ids=ids,
        logprobs=logprobs,
        top_logprobs=top_logprobs,
        usage=usage,
        model=payload.get("model") or asked,
        weights=weights,
        template=template,
        extra=extra,
    )


def malformed(what: str) -> ModelError:
    """The error for an answer that is not what the protocol says; `what` ends its sentence."""
    return ModelError(f"The server can't be understood: {what}.", kind="malformed", retryable=True)


def _first_choice(payload: Json) -> Json:
    choices = payload.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise malformed("its answer holds no choices")
    choice: Json = choices[0]
    return choice


def text_of(content: Any) -> str:
    """The text of a message's content, which may be null or a list of parts. Raises ModelError (malformed)."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    raise malformed("its answer's content is neither text nor null")


def reasoning_of(message: Json) -> str:
    """The reasoning in a message or a delta, under either of the names in use; empty where there is none."""
    value = message.get("reasoning") or message.get("reasoning_content") or ""
    return value if isinstance(value, str) else json.dumps(value)


def _tool_calls(calls: Any) -> tuple[ToolCall, ...]:
    if not calls:
        return ()
    read: list[ToolCall] = []
    for call in calls:
        function = call["function"]
        name, arguments = function.get("name") or "", arguments_of(function.get("arguments"))
        read.append(ToolCall(call.get("id") or f"call-{len(read)}", name, arguments))
    return tuple(read)


def arguments_of(value: Any) -> str:
    """The JSON text of a call's arguments; some servers send the object itself."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _ids(value: Any) -> tuple[int, ...] | None:
    return tuple(value) if isinstance(value, list) else None


def _logprobs(value: Any) -> tuple[tuple[float, ...] | None, Alternatives | None]:
    """The tokens' log-probabilities, and where there are alternatives, those by falling probability."""
    content = value.get("content") if isinstance(value, dict) else None
    if not isinstance(content, list):
        return None, None
    tops = None
    if any([token["top_logprobs"] for token in content if "top_logprobs" in token]):  # a generator takes twice as long
        tops = tuple(
            tuple(sorted(((t["token"], t["logprob"]) for t in token.get("top_logprobs") or ()), key=lambda t: -t[1]))
            for token in content
        )
    return tuple([token["logprob"] for token in content]), tops


def _unknown(fields: Json, known: set[str]) -> Json:
    return {name: value for name, value in fields.items() if name not in known and value is not None}


def _usage(
    usage: Any, prompt_ids: tuple[int, ...] | None, ids: tuple[int, ...] | None, price: Price | None, extra: Json
) -> Usage:
    usage = usage or {}
    prompt = _count(usage.get("prompt_tokens"), prompt_ids)
    completion = _count(usage.get("completion_tokens"), ids)
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    if unknown := _unknown(usage, KNOWN_USAGE):
        extra["usage"] = unknown
    if prompt is None or completion is None:
        extra["usage_missing"] = True
        return Usage(1, prompt or 0, completion or 0, cached)
    return Usage(1, prompt, completion, cached, price.of(prompt, completion, cached) if price else None)


def _count(reported: int | None, ids: tuple[int, ...] | None) -> int | None:
    return len(ids) if reported is None and ids is not None else reported
