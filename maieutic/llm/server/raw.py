"""Calls that go on from token ids, through the completion endpoint: no chat template is applied, no parser at work.

Its answers are put into the chat endpoint's form, whole or streamed, so that both are read by one reader.
"""

from typing import Any

from maieutic.llm.model import check_raw
from maieutic.llm.server.fields import CHAT_ONLY
from maieutic.llm.server.wire import Json, malformed, sampling_fields
from maieutic.types import Request


def raw_body(request: Request, model: str, *, stream: bool) -> Json:
    """The body of a completion request for `request.prompt_ids`. Raises ModelError where it can't be raw.

    Settings that only concern the chat template are left out.
    """
    check_raw(request)
    sampling = request.sampling
    body: Json = {"model": model, "prompt": request.prompt_ids, **sampling_fields(request, stream=stream)}
    body.setdefault("max_tokens", None)  # this endpoint's own default is 16
    if sampling.logprobs or sampling.top_logprobs:
        body["logprobs"] = sampling.top_logprobs
    body["return_token_ids"] = True
    body.update({name: value for name, value in sampling.extra.items() if name not in CHAT_ONLY})
    return body


def as_chat(payload: Json, streamed: bool) -> Json:
    """An answer of the completion endpoint, or one chunk of it, in the form of the chat endpoint's."""
    try:
        return _as_chat(payload, "delta" if streamed else "message")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise malformed(f"a part of its answer has an unexpected form ({type(error).__name__}: {error})") from error


def _as_chat(payload: Json, part: str) -> Json:
    choices: list[Json] = []
    for choice in payload["choices"]:
        rest = {name: value for name, value in choice.items() if name not in ("text", "prompt_token_ids", "logprobs")}
        logprobs = choice.get("logprobs")
        choices.append({**rest, part: {"content": choice["text"]}, "logprobs": logprobs and _logprobs(logprobs)})
        if (ids := choice.get("prompt_token_ids")) is not None:
            payload = {"prompt_token_ids": ids, **payload}
    return {**payload, "choices": choices}


def _logprobs(value: Json) -> Json:
    tops: list[Any] = value.get("top_logprobs") or [None] * len(value["tokens"])
    content = [
        {
            "token": token,
            "logprob": logprob,
            "top_logprobs": [{"token": text, "logprob": number} for text, number in (top or {}).items()],
        }
        for token, logprob, top in zip(value["tokens"], value["token_logprobs"], tops, strict=True)
    ]
    return {"content": content}
