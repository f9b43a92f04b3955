"""A request as a provider takes it: litellm's arguments, and what of the request was not taken."""

import hashlib
import json
import re
from collections import OrderedDict
from typing import Any

from maieutic.errors import ModelError
from maieutic.llm.providers_table import Provider, routed
from maieutic.llm.server.wire import Json, reasoning_of, request_body
from maieutic.types import Message, Request

THINKING = {"reasoningeffort", "thinking", "thinkingconfig", "outputconfig", "think"}
# How a field may be spelled in a request's body, in lower case and without underscores.
SPELLED = {
    "temperature": {"temperature"},
    "top_p": {"topp"},
    "top_k": {"topk"},
    "max_tokens": {"maxtokens", "maxcompletiontokens", "maxoutputtokens", "numpredict"},
    "seed": {"seed", "randomseed"},
    "stop": {"stop", "stopsequences"},
    "top_logprobs": {"toplogprobs", "logprobs"},
    "tools": {"tools", "functions"},
    "tool_choice": {"toolchoice", "toolconfig"},
    "reasoning_effort": THINKING,
    "thinking": THINKING,
}
SCHEMA = {"responseformat", "outputformat", "outputconfig", "format", "responseschema", "responsejsonschema"}
LITELLMS = ("extra_body", "extra_headers", "allowed_openai_params")  # its own words, not a provider's
GROUPS = ("generationConfig", "generation_config", "options", "extra_body")
MISTRAL_ID = re.compile(r"[A-Za-z0-9]{9}")
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
REMEMBERED = 4096  # messages


class Thoughts:
    """What a provider wants to see again of a message that called tools: its thoughts, signed. Kept by the calls' ids,
    for the last messages of all conversations."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, ...], Json] = OrderedDict()

    def keep(self, message: Json) -> None:
        """Remember a message of an answer."""
        ids = _ids(message)
        found: Json = {"reasoning_content": reasoning_of(message), "thinking_blocks": message.get("thinking_blocks")}
        found = {name: value for name, value in found.items() if value}
        if ids and found:
            self._kept[ids] = found
            if len(self._kept) > REMEMBERED:
                self._kept.popitem(last=False)

    def of(self, message: Message) -> Json:
        """What belongs to this message; empty where nothing does."""
        return self._kept.get(_ids(message), {})


def arguments(
    request: Request, model: str, provider: Provider | None, thoughts: Thoughts, *, stream: bool, own_server: bool
) -> Json:
    """litellm's arguments for a request, apart from those that say how to reach the provider.

    Raises ModelError where the provider can't do what is asked.
    """
    refused: set[str] = set()
    if provider is not None and not (own_server and provider.route == "openai"):
        refused = set(provider.refuses) - request.sampling.extra.keys()
    body = request_body(request, routed(model), stream=stream, token_ids=False)
    body["messages"] = [_message(m, provider, thoughts) for m in request.messages]
    if request.continue_final:
        del body["add_generation_prompt"], body["continue_final_message"]
        body["messages"][-1]["prefix"] = True
    if body.get("tool_choice") == "none" and provider is not None and provider.route == "ollama_chat":
        del body["tools"], body["tool_choice"]  # its chat has no word for it
    if "stop" in body:
        body["stop"] = list(body["stop"])
    body["allowed_openai_params"] = ["top_logprobs", *request.sampling.extra]  # also where litellm doesn't know better
    return {name: value for name, value in body.items() if name not in refused}


def not_sent(request: Request, sent: Json) -> list[str]:
    """The names of what was asked for and is not in the body that went out. Raises ModelError for a lost schema."""
    names = {_bare(name) for name in _names(sent)}
    asked = [
        n for n in ("temperature", "top_p", "top_k", "max_tokens", "seed") if getattr(request.sampling, n) is not None
    ]
    asked += [n for n in ("stop", "top_logprobs") if getattr(request.sampling, n)]
    if request.tools:
        asked += ["tools"] + (["tool_choice"] if request.tool_choice in ("none", "required") else [])
    asked += [name for name in request.sampling.extra if name not in LITELLMS]
    dropped = [name for name in asked if not SPELLED.get(name, {_bare(name)}) & names]
    if request.schema is not None and not names & SCHEMA and (request.tools or "tools" not in names):
        dropped.append("schema")
    return dropped


def _message(message: Message, provider: Provider | None, thoughts: Thoughts) -> Json:
    plain: Json = {name: value for name, value in message.items() if name != "reasoning"}
    plain.update(thoughts.of(message))
    if provider is None or provider.route == "openai":
        return plain
    if calls := plain.get("tool_calls"):
        plain["tool_calls"] = [_call(call) for call in calls]
    if provider.route == "mistral":
        if calls:
            plain["tool_calls"] = [{**call, "id": nine(call["id"])} for call in plain["tool_calls"]]
        if "tool_call_id" in plain:
            plain["tool_call_id"] = nine(plain["tool_call_id"])
    return plain


def _call(call: Json) -> Json:
    """A call whose arguments are an object, as these providers want it: malformed ones become its only field."""
    raw = call["function"].get("arguments") or "{}"
    try:
        fine = isinstance(json.loads(raw), dict)
    except ValueError:
        fine = False
    return {**call, "function": {**call["function"], "arguments": raw if fine else json.dumps({"malformed": raw})}}


def nine(call_id: str) -> str:
    """A tool call's id as Mistral wants it, nine letters and digits; the same one for the call and its result."""
    if MISTRAL_ID.fullmatch(call_id):
        return call_id
    number = int.from_bytes(hashlib.sha256(call_id.encode()).digest()[:8])
    return "".join(LETTERS[number // 62**place % 62] for place in range(9))


def _ids(message: Any) -> tuple[str, ...]:
    return tuple(str(call.get("id")) for call in message.get("tool_calls") or ())


def _names(body: Json) -> set[str]:
    inner = (body.get(group) for group in GROUPS)
    return {*body, *(name for group in inner if isinstance(group, dict) for name in group)}


def _bare(name: str) -> str:
    return name.replace("_", "").lower()


def unable(name: str, what: str) -> ModelError:
    """The error for something that this model's provider can't do."""
    return ModelError(f"{name} can't {what}: use a model on a vLLM server for this.")
