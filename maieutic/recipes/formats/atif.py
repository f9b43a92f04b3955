"""`atif`: runs as trajectories of the Agent Trajectory Interchange Format, version 1.7.

The conversation that gave the answer is the trajectory; every other conversation of the run (a sample that lost, a
critic, a debater) is a subagent's, referred to by the step of the node that it spoke from. ATIF has no place for
rewards, branches and weights versions: they stand under `extra.maieutic`.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from maieutic.recipes.formats.messages import functions, left_out, text_of
from maieutic.recipes.items import Episode, Item
from maieutic.recipes.recipe import Row, Tally, row_format
from maieutic.recipes.solved import winning_path
from maieutic.trace.record import CallRecord, RunEvent, RunRecord
from maieutic.types import Completion, ToolCall

VERSION = "ATIF-v1.7"  # what the Agent Data Protocol's converter accepts, too


@row_format("atif")
def atif(items: Iterable[Item], tally: Tally) -> Iterator[Row]:
    for item in items:
        if isinstance(item, Episode):
            yield trajectory_of(item.run, item.calls)
        else:
            left_out(item, tally)


def trajectory_of(run: RunRecord, calls: tuple[CallRecord, ...]) -> Row:
    """One run as an ATIF trajectory."""
    results = _results(run)
    main = {call.call_id for call in winning_path(run)}
    threads = _threads(calls)
    own = next((thread for thread in threads if any(call.call_id in main for call in thread)), [])
    others = [thread for thread in threads if thread is not own]
    steps: list[Row] = [{"source": "user", "message": str(run.header.task.get("question", ""))}]
    subagents = [_trajectory(run, thread, results, f"{run.header.run_id}/{thread[0].call_id}") for thread in others]
    steps += [_reference(thread, sub["trajectory_id"]) for thread, sub in zip(others, subagents, strict=True)]
    steps += [_step(call, results) for call in own if call.completion is not None]
    made = _document(run, own, steps, run.header.run_id)
    if subagents:
        made["subagent_trajectories"] = subagents
    finish = run.finish.fields if run.finish else {}
    rewards = {str(e.fields["name"]): e.fields["value"] for e in run.events_of("reward")}
    made["extra"] = {
        "maieutic": {
            "graph": run.header.graph,
            "group": run.header.group_id,
            "sample": run.header.sample,
            "answer": finish.get("answer"),
            "outcome": finish.get("outcome"),
            "rewards": rewards,
        }
    }
    return made


def _threads(calls: tuple[CallRecord, ...]) -> list[list[CallRecord]]:
    """The run's conversations: each call joins the one whose last call it continues; a second continuation of the same
    call, as a search makes them, begins one of its own."""
    threads: list[list[CallRecord]] = []
    of: dict[str, list[CallRecord]] = {}
    for call in calls:
        continued = [p.call_id for p in call.parents if p.type == "continuation" and p.call_id in of]
        thread = of[continued[0]] if continued else None
        if thread is not None and (thread[-1].call_id, thread[-1].role) != (continued[0], call.role):
            thread = None
        if thread is None:
            thread = []
            threads.append(thread)
        thread.append(call)
        of[call.call_id] = thread
    return threads


def _results(run: RunRecord) -> dict[str, list[RunEvent]]:
    """The results of tools, by the model call that asked for them."""
    found: defaultdict[str, list[RunEvent]] = defaultdict(list)
    for event in run.events_of("tool_result"):
        found[str(event.fields.get("call_id"))].append(event)
    return found


def _trajectory(run: RunRecord, thread: list[CallRecord], results: dict[str, list[RunEvent]], name: str) -> Row:
    asked = [message for message in thread[0].request.messages if message["role"] in ("system", "user")]
    steps: list[Row] = [{"source": message["role"], "message": text_of(message)} for message in asked]
    steps += [_step(call, results) for call in thread if call.completion is not None]
    return _document(run, thread, steps, name)


def _document(run: RunRecord, thread: list[CallRecord], steps: list[Row], name: str) -> Row:
    said = [call.completion.usage for call in thread if call.completion is not None]
    role = thread[0].role if thread else run.header.graph
    agent: Row = {"name": f"maieutic/{role}", "version": version("maieutic")}
    if thread:
        agent["model_name"] = thread[0].model
        if thread[0].request.tools:
            agent["tool_definitions"] = functions(thread[0].request.tools)
    return {
        "schema_version": VERSION,
        "session_id": run.header.run_id,
        "trajectory_id": name,
        "agent": agent,
        "steps": [{"step_id": number, **step} for number, step in enumerate(steps, 1)],
        "final_metrics": {
            "total_prompt_tokens": sum(usage.prompt_tokens for usage in said),
            "total_completion_tokens": sum(usage.completion_tokens for usage in said),
            "total_cached_tokens": sum(usage.cached_tokens for usage in said),
            "total_steps": len(steps),
        },
    }


def _reference(thread: list[CallRecord], name: str) -> Row:
    """The step of a node that let somebody else speak: no model call of its own."""
    first, last = thread[0], thread[-1]
    said = last.completion.text if last.completion else ""
    return {
        "source": "agent",
        "message": f"{first.role} at {first.node}" + (f", {first.branch}" if first.branch else ""),
        "llm_call_count": 0,
        "observation": {"results": [{"content": said, "subagent_trajectory_ref": [{"trajectory_id": name}]}]},
    }


def _step(call: CallRecord, results: dict[str, list[RunEvent]]) -> Row:
    completion = call.completion
    assert completion is not None
    step: Row = {
        "source": "agent",
        "timestamp": datetime.fromtimestamp(call.t0, UTC).isoformat(),
        "model_name": call.model,
        "message": completion.text,
        "llm_call_count": 1,
        "metrics": _metrics(completion),
        "extra": {
            "maieutic": {
                "call": call.call_id,
                "node": call.node,
                "branch": call.branch,
                "parents": [{"call": p.call_id, "type": p.type} for p in call.parents],
                "weights": completion.weights,
                "finish_reason": completion.finish_reason,
            }
        },
    }
    if completion.reasoning:
        step["reasoning_content"] = completion.reasoning
    if completion.tool_calls:
        step["tool_calls"] = [_tool_call(tool) for tool in completion.tool_calls]
        asked = {tool.id for tool in completion.tool_calls}
        step["observation"] = {
            "results": [
                {"source_call_id": event.fields["tool_call_id"], "content": str(event.fields["content"])}
                for event in results[call.call_id]
                if event.fields["tool_call_id"] in asked
            ]
        }
    return step


def _tool_call(call: ToolCall) -> Row:
    """Arguments that are no JSON object are kept as the model wrote them."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = None
    known = isinstance(arguments, dict)
    made: Row = {"tool_call_id": call.id, "function_name": call.name, "arguments": arguments if known else {}}
    return made if known else {**made, "extra": {"maieutic": {"arguments": call.arguments}}}


def _metrics(completion: Completion) -> Row:
    usage = completion.usage
    made: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_tokens,
        "cost_usd": usage.cost,
        "prompt_token_ids": completion.prompt_token_ids,
        "completion_token_ids": completion.token_ids,
        "logprobs": completion.logprobs,
    }
    return {name: value for name, value in made.items() if value is not None}
