"""The names of request fields that vLLM takes: it ignores any other without a word, so they are checked before.

They are those of version 0.32, of the chat endpoint and of the completion endpoint (`vllm.entrypoints.openai`). A newer
server's own are let through by the profile's `unchecked`.
"""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

# Fields of both endpoints, then those that only make sense where a chat template is applied.
COMMON = frozenset(
    """
    add_special_tokens allowed_token_ids bad_words cache_salt ec_transfer_params echo frequency_penalty ignore_eos
    include_stop_str_in_output kv_transfer_params length_penalty logit_bias logprob_token_ids logprobs max_tokens min_p
    min_tokens mm_payload model n presence_penalty priority prompt_logprobs repetition_detection repetition_penalty
    request_id response_format return_mm_kwargs return_token_ids return_token_offsets return_tokens_as_token_ids
    routed_experts_prompt_start seed session_id skip_special_tokens spaces_between_special_tokens stop stop_token_ids
    stream stream_interval stream_options structured_outputs temperature thinking_token_budget top_k top_p
    truncate_prompt_tokens truncation_side use_beam_search user vllm_xargs watermarking
    """.split()
)
CHAT_ONLY = frozenset(
    """
    add_generation_prompt chat_template chat_template_kwargs continue_final_message documents include_reasoning
    max_completion_tokens media_io_kwargs messages mm_processor_kwargs parallel_tool_calls reasoning_effort
    return_prompt_text tool_choice tools top_logprobs
    """.split()
)
# What shapes the prompt where it is only rendered.
TEMPLATE = ("add_special_tokens", "chat_template", "chat_template_kwargs", "media_io_kwargs", "mm_processor_kwargs")

_RENAMED = {
    "best_of": "ask for several samples side by side, as the graph self_consistency does",
    "guided_json": "use the request's schema, or structured_outputs: {json: …}",
    "guided_regex": "use structured_outputs: {regex: …}",
    "guided_choice": "use structured_outputs: {choice: […]}",
    "guided_grammar": "use structured_outputs: {grammar: …}",
    "guided_decoding_backend": "start the server with --structured-outputs-config instead",
    "guided_whitespace_pattern": "use structured_outputs: {whitespace_pattern: …}",
}
# What a call says itself: given once more, it would win, and the record or the budget would be wrong.
_OURS = {
    "model": "the profile names the model",
    "messages": "the call has them",
    "prompt": "use the request's prompt_ids",
    "stream": "a call is streamed where somebody listens",
    "stream_options": "a call is streamed where somebody listens",
    "n": "ask for several samples side by side, as the graph self_consistency does",
    "max_tokens": "use the sampling's max_tokens, which a budget can lower",
    "max_completion_tokens": "use the sampling's max_tokens, which a budget can lower",
}


def complaint(names: Iterable[str], unchecked: Collection[str] = ()) -> str | None:
    """One sentence about the first name that vLLM would ignore or a call sets itself; None where all are fine."""
    for name in names:
        if name in _OURS:
            return f"The field {name!r} can't be set in `extra`: {_OURS[name]}."
        if name in COMMON or name in CHAT_ONLY or name in unchecked:
            continue
        if name in _RENAMED:
            return f"vLLM no longer has the field {name!r} and would ignore it: {_RENAMED[name]}."
        close = get_close_matches(name, COMMON | CHAT_ONLY | _RENAMED.keys(), n=1)
        hint = f"did you mean {close[0]!r}? If not, put" if close else "put"
        return (
            f"vLLM 0.32 has no field {name!r} and would ignore it: {hint} the name under `unchecked` in the model's "
            "profile where the server has it."
        )
    return None
