"""Replay: a run that was killed, or that waits for approval, goes on from its record, and nothing is paid twice.

The run is started again with its seed. As long as it asks what the record holds, a model call is answered with the
recorded completion and a tool call with the recorded result; everything else is done anew.
"""

import hashlib
from collections import defaultdict
from dataclasses import asdict
from typing import Any

from maieutic.errors import UserError
from maieutic.llm.model import OnDelta
from maieutic.tasks.task import Task
from maieutic.tools.approval import Approver, Decision, Pending
from maieutic.trace.payload import dump
from maieutic.trace.record import RunRecord
from maieutic.types import Completion, Request, ToolCall, ToolResult

_CallKey = tuple[str, str, str, str]


class RecordedModel:
    """A model that has one answer, which is charged as it was then and is not streamed."""

    def __init__(self, name: str, completion: Completion) -> None:
        self.name = name
        self._completion = completion

    async def sample(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        return self._completion

    async def close(self) -> None:
        """There is nothing to release."""


class Recording:
    """What a run has finished: completions by branch, turn and request, tool results by branch and call.

    Calls that failed or were cut off are not in it, and are made again.
    """

    def __init__(self, record: RunRecord) -> None:
        self.run_id = record.header.run_id
        self._completions = {
            (call.branch, call.turn, call.model, _digest(call.request)): call.completion
            for call in record.calls
            if call.completion is not None and call.error is None and not call.cancelled
        }
        self._results: defaultdict[_CallKey, list[ToolResult]] = defaultdict(list)
        for event in record.events_of("tool_result"):
            if "unfinished" not in event.fields.get("meta", {}):
                self._results[_key(event.fields)].append(_result(event.fields))
        asked = [_key(event.fields) for event in record.events_of("approval_requested")]
        self.undecided = {key for key in asked if key not in self._results}

    def model(self, branch: str, turn: int, name: str, request: Request) -> RecordedModel | None:
        """What answers this request as it was answered then; None where it wasn't."""
        completion = self._completions.get((branch, turn, name, _digest(request)))
        return None if completion is None else RecordedModel(name, completion)

    def result(self, branch: str, call: ToolCall) -> ToolResult | None:
        """What the call came to then, each result once; None where it did not end."""
        results = self._results.get((branch, call.id, call.name, call.arguments))
        return results.pop(0) if results else None

    def deciding(self, allowed: bool, approver: Approver | None) -> Approver:
        """An approver that gives one word for every call that waits in the record, and asks `approver` for others."""

        def decide(pending: Pending) -> Any:
            key = (pending.branch, pending.tool_call_id, pending.tool, pending.arguments)
            if key in self.undecided:
                return Decision(allowed, by="resume")
            return None if approver is None else approver(pending)

        return decide


def refuse_ended(record: RunRecord) -> None:
    """Raise UserError where there is nothing to go on with."""
    if record.finish is not None and not record.finish.fields.get("partial"):
        raise UserError(f"The run {record.header.run_id} has ended: there is nothing to resume.")


def task_of(record: RunRecord, gold: str | None = None) -> Task:
    """The task of a run; its gold answer is not in the record and has to be given again."""
    public = record.header.task
    return Task(**{name: public[name] for name in ("id", "question", "inputs", "answer_type")}, gold=gold)


def _digest(request: Request) -> bytes:
    """What was asked, without what the budget and the listeners of that moment made of it."""
    sampling = {k: v for k, v in asdict(request.sampling).items() if k not in ("max_tokens", "extra", "logprobs")}
    asked = {
        "messages": request.messages,
        "sampling": sampling,
        "tools": request.tools,
        "continue_final": request.continue_final,
        "schema": request.schema,
        "prompt_ids": request.prompt_ids,
        "tool_choice": request.tool_choice,
    }
    return hashlib.sha256(dump(asked)).digest()


def _key(fields: dict[str, Any]) -> _CallKey:
    return fields["branch"], fields["tool_call_id"], fields["name"], fields["arguments"]


def _result(fields: dict[str, Any]) -> ToolResult:
    meta = {name: value for name, value in fields.get("meta", {}).items() if name != "replayed"}
    content, status, seconds = fields["content"], fields["status"], fields["seconds"]
    return ToolResult(fields["tool_call_id"], fields["name"], content, status, seconds, meta)
