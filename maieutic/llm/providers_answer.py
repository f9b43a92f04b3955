"""A provider's answer as a completion: why it ended in one vocabulary, its tokens only where it counted them."""

from collections.abc import Callable
from dataclasses import replace

from maieutic.llm.profile import Profile
from maieutic.llm.providers_wire import Witness
from maieutic.llm.server.wire import KNOWN_USAGE, Json, read_completion
from maieutic.types import Completion, Usage

# Each provider's words for why an answer ended, as OpenAI's; others are left as they are.
FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "STOP": "stop",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "refusal": "content_filter",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "OTHER": "content_filter",
}
# What litellm adds to an answer's top.
LITELLMS = {"id", "created", "choice", "message", "usage", "provider_specific_fields", "service_tier", "citations"}
UNSIGNED = "mistral"  # what litellm writes where Mistral has no signature


def read_answer(payload: Json, witness: Witness, profile: Profile, price: Callable[[Json], float | None]) -> Completion:
    """The completion in litellm's response object, corrected by what was seen. Raises ModelError (malformed).

    `price` is asked for the cost of a usage object where the profile has no price.
    """
    message = payload["choices"][0]["message"]
    if blocks := message.get("thinking_blocks"):
        message["thinking_blocks"] = signed(blocks)
    completion = read_completion(payload, profile.model, profile.price)
    extra = _own(completion.extra, witness) if witness.judged else dict(completion.extra)
    finish, said = completion.finish_reason, witness.finish
    if said is not None and not witness.cut_short:
        finish = FINISH.get(said, said)
        if finish == "stop" and completion.tool_calls:  # Gemini and Ollama have no word for it
            finish = "tool_calls"
        if finish != said:
            extra["finish_reason"] = said
    usage = completion.usage
    if witness.judged and not witness.counted:
        extra.pop("usage", None)
        usage, extra["usage_missing"] = Usage(1), True
    elif usage.cost is None and "usage_missing" not in extra and payload.get("usage"):
        usage = replace(usage, cost=price(payload["usage"]))
    return replace(completion, model=witness.model or completion.model, finish_reason=finish, usage=usage, extra=extra)


def signed(blocks: list[Json]) -> list[Json]:
    """The blocks of thought that the provider signed, whole where they came in pieces: a signature ends a block."""
    whole: list[Json] = []
    for block in blocks:
        last = whole[-1] if whole else None
        if last is None or last.get("signature") or "thinking" not in last or "thinking" not in block:
            whole.append(dict(block))
            continue
        last["thinking"] += block["thinking"]
        if block.get("signature"):
            last["signature"] = block["signature"]
    return [b for b in whole if b.get("signature") not in (None, "", UNSIGNED) or "thinking" not in b]


def _own(extra: Json, witness: Witness) -> Json:
    """What of the unknown fields is the provider's: litellm's own ids, estimates and copies are left out."""
    kept = {n: v for n, v in extra.items() if n not in LITELLMS and not n.startswith("vertex_ai_")}
    message = {n: v for n, v in extra.get("message", {}).items() if n != "provider_specific_fields"}
    kept["message"] = {name: value for name, value in message.items() if value not in ([], {})}
    kept["usage"] = {n: v for n, v in witness.usage.items() if n not in KNOWN_USAGE and v is not None}
    kept["id"] = witness.id
    return {name: value for name, value in kept.items() if value not in (None, [], {})}
