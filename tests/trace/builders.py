"""Small runs to write and read in the tests of the trace and of the recipes."""

from collections.abc import Sequence
from typing import Any

from maieutic.trace.record import CallRecord, Parent, ParentType, RunHeader
from maieutic.types import Completion, Message, Request, Sampling, Usage


def header(run_id: str, **fields: Any) -> RunHeader:
    return RunHeader(run_id, fields.pop("task_key", "task-1"), **{"graph": "direct", "models": ("scripted",), **fields})


def call(
    run_id: str,
    call_id: str,
    prompt: Sequence[int] | None = (1, 2, 3),
    sampled: Sequence[int] | None = (4, 5),
    messages: tuple[Message, ...] = ({"role": "user", "content": "2+2?"},),
    text: str = "4",
    after: str | None = None,
    how: ParentType = "continuation",
    finish_reason: str | None = "stop",
    **fields: Any,
) -> CallRecord:
    """A call that went well, with token ids; `after` names its parent."""
    completion = Completion(
        text,
        finish_reason=finish_reason,
        prompt_token_ids=None if prompt is None else tuple(prompt),
        token_ids=None if sampled is None else tuple(sampled),
        logprobs=None if sampled is None else tuple(-0.5 for _ in sampled),
        usage=Usage(1, len(prompt or ()), len(sampled or ())),
        model="scripted-1",
        weights="w1",
        tool_calls=fields.pop("tool_calls", ()),
        reasoning=fields.pop("reasoning", None),
    )
    request = Request(messages, Sampling(seed=1), fields.pop("tools", ()))
    parents = () if after is None else (Parent(after, how),)
    return CallRecord(run_id, call_id, "scripted", request, completion, 1.0, 2.0, parents, **fields)
