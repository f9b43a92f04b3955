"""`verifiers`: runs as traces of the verifiers library, version 1: a graph of messages with the tokens each one adds.

Walked from a root to a leaf, the nodes' token ids are the very ids that a call saw and sampled, masked where they were
not sampled. Who critiques, debates with or judges whom stands in `semantic_parents`.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from maieutic.recipes.formats.messages import left_out
from maieutic.recipes.items import Episode, Item
from maieutic.recipes.recipe import Row, Tally, row_format
from maieutic.trace.record import CallRecord, RunRecord
from maieutic.types import Completion, Message

VERSION = 1
_LOW_ROOM = -9999.0  # verifiers has no word for a log-probability of minus infinity
_FINISHED = {"stop": "stop", "length": "length", "tool_calls": "tool_calls"}


@row_format("verifiers")
def verifiers(items: Iterable[Item], tally: Tally) -> Iterator[Row]:
    for item in items:
        if isinstance(item, Episode):
            yield trace_of(item.run, item.calls)
        else:
            left_out(item, tally)


def trace_of(run: RunRecord, calls: tuple[CallRecord, ...]) -> Row:
    """One run as a verifiers Trace, in the form that its `WireTrace` reads."""
    header, nodes = run.header, _Nodes()
    made = [_call(call, nodes.add(call)) for call in calls]
    rewards = {
        str(event.fields["name"]): None if event.fields["value"] is None else {"score": event.fields["value"]}
        for event in run.events_of("reward")
        if event.fields.get("scope") == "run"
    }
    return {
        "version": VERSION,
        "id": header.run_id,
        "task": {
            "type": "MaieuticTask",
            "data": {"id": header.task_key, "prompt": header.task.get("question")},
            "key": header.task_key,
        },
        "agent": {"config": {}, "name": header.graph or "agent"},
        "nodes": nodes.made,
        "calls": made,
        "rewards": rewards,
        "info": {"graph": header.graph, "models": header.models, "group": header.group_id, "sample": header.sample},
    }


class _Nodes:
    """The graph so far: every message once, after what came before it."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self._by_place: dict[tuple[int | None, str], int] = {}
        self._ids: dict[int, tuple[int, ...]] = {}  # all ids from the root, of nodes with a sampled reply
        self._said: dict[str, int] = {}  # the node of each call

    def add(self, call: CallRecord) -> int | None:
        """The node of a call's reply; None where nothing came back."""
        completion = call.completion
        if completion is None:
            return None
        prompt = completion.prompt_token_ids or ()
        begun = self._begun(prompt)
        messages = call.request.messages[:-1] if call.request.goes_on else call.request.messages
        parent = self._prompt(messages, begun, call)
        before = () if begun is None else self._ids[begun]
        reply = self._append(parent, _reply(completion), call.t1)
        sampled = completion.token_ids or ()
        self.made[reply] |= {
            "sampled": True,
            "token_ids": [*prompt[len(before) :], *sampled],
            "mask": [False] * (len(prompt) - len(before)) + [True] * len(sampled),
            "logprobs": [max(_LOW_ROOM, value) for value in completion.logprobs or ()],
            "semantic_parents": [
                {"node": self._said[p.call_id], "type": p.type}
                for p in call.parents
                if p.type != "continuation" and p.call_id in self._said
            ],
        }
        self._ids[reply] = (*prompt, *sampled)
        self._said[call.call_id] = reply
        return reply

    def _begun(self, prompt: tuple[int, ...]) -> int | None:
        """The reply whose ids, from the root on, are the longest beginning of a prompt."""
        fitting = [n for n, ids in self._ids.items() if ids and prompt[: len(ids)] == ids]
        return max(fitting, key=lambda n: len(self._ids[n]), default=None)

    def _prompt(self, messages: tuple[Message, ...], begun: int | None, call: CallRecord) -> int | None:
        """The node of a prompt's last message; its messages come after `begun`, as far as they are not there."""
        rest = messages[self._depth(begun) :]
        parent = begun
        for message in rest:
            place = (parent, json.dumps(message, sort_keys=True))
            if place not in self._by_place:
                self._by_place[place] = self._append(parent, _message(message), call.t0)
                if parent is None and call.request.tools:
                    tools = [
                        {"name": t.name, "description": t.description, "parameters": t.parameters}
                        for t in call.request.tools
                    ]
                    self.made[self._by_place[place]]["tools"] = tools
            parent = self._by_place[place]
        return parent

    def _depth(self, node: int | None) -> int:
        depth = 0
        while node is not None:
            depth, node = depth + 1, self.made[node]["parent"]
        return depth

    def _append(self, parent: int | None, message: dict[str, Any], time: float) -> int:
        self.made.append({"parent": parent, "message": message, "sampled": False, "timestamp": time})
        return len(self.made) - 1


def _call(call: CallRecord, node: int | None) -> dict[str, Any]:
    completion = call.completion
    sampling = call.request.sampling
    made: dict[str, Any] = {
        "node": node,
        "model": call.model,
        "sampling": {
            name: value
            for name in ("temperature", "top_p", "max_tokens", "seed")
            if (value := getattr(sampling, name)) is not None
        },
        "time": {"start": call.t0, "end": call.t1},
    }
    if completion is not None:
        usage = completion.usage
        made["finish_reason"] = _FINISHED.get(completion.finish_reason or "")
        made["usage"] = {
            "prompt_tokens": usage.prompt_tokens - usage.cached_tokens,
            "completion_tokens": usage.completion_tokens,
            "cached_input_tokens": usage.cached_tokens,
            "cost": usage.cost,
        }
    if call.error is not None:
        made["error"] = {"type": "cancelled" if call.cancelled else "ModelError", "message": call.error}
    return made


def _reply(completion: Completion) -> dict[str, Any]:
    return _message(completion.message())


def _message(message: Message) -> dict[str, Any]:
    """A message in verifiers' flat shape."""
    made: dict[str, Any] = {"role": message["role"], "content": message["content"] or ""}
    if message["role"] == "assistant":
        if reasoning := message.get("reasoning"):
            made["reasoning_content"] = reasoning
        if calls := message.get("tool_calls"):
            made["tool_calls"] = [
                {"id": call["id"], "name": call["function"]["name"], "arguments": call["function"]["arguments"]}
                for call in calls
            ]
    if message["role"] == "tool":
        made |= {"tool_call_id": message.get("tool_call_id", ""), "name": message.get("name")}
    return made
