"""What every graph has to bear: budgets, failing calls, replies that say nothing, being stopped, being killed.

The model's replies depend on the request alone, and hold a line in the form that each of the common roles asks for, so
that graphs go deep; what a graph makes of its own forms is tested with the graph.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from maieutic.budget import Budget
from maieutic.errors import ModelError
from maieutic.graphs.registry import SHIPPED, load_graph
from maieutic.llm.scripted import ScriptedModel
from maieutic.runner import Result, open_runner
from maieutic.runner.replay import Recording
from maieutic.tasks.task import Task
from maieutic.tools.tool import Tool
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Request
from tests.support.stub_tools import STUBS

TASK = Task(question="What is 4 + 3?", gold="7")
CALLS = 400  # a bound that no graph reaches with its own settings
RoleModel = Callable[[Request], str]


def asked(request: Request) -> str:
    return json.dumps([request.messages, request.sampling.seed, request.prompt_ids])


def chatty(request: Request) -> str:
    """Everything a role may be asked to end with, varied by the request."""
    drawn = sha256(asked(request).encode()).digest()
    step = "none" if drawn[0] % 2 else "1"
    return (
        f"I count.\n\nStep 1: 4 + 3 = {3 + drawn[1] % 3}\nFirst wrong step: {step}\nChoice: {1 + drawn[2] % 2}\n"
        f"Confidence: {drawn[3] % 101}\nAnswer: {6 + drawn[4] % 3}"
    )


def silent(request: Request) -> str:
    return "Hm."


def tools_for(graph: str) -> tuple[Tool, ...]:
    return tuple(STUBS[need.split("|")[0]] for need in load_graph(graph).needs)


async def run(
    graph: str, model: ScriptedModel, traces: Path, past: Recording | None = None, budget: Budget | None = None
) -> Result:
    limits = budget or Budget(calls=CALLS)
    async with open_runner(graph, model=model, traces=traces, tools=tools_for(graph), budget=limits) as runner:
        return await runner.start(TASK, seed=3, past=past).result()


def record_of(result: Result) -> RunRecord:
    with TraceReader(result.trace) as reader:
        return reader.run(result.run_id)


@pytest.mark.parametrize("reply", [chatty, silent])
@pytest.mark.parametrize("graph", SHIPPED)
async def test_it_ends_by_itself_whatever_is_said(graph: str, reply: RoleModel, tmp_path: Path) -> None:
    result = await run(graph, ScriptedModel(reply), tmp_path)
    assert not result.partial, result.reason
    assert 0 < result.usage.calls < CALLS
    assert result.text


@pytest.mark.parametrize("graph", SHIPPED)
async def test_a_budget_ends_it_with_what_it_has(graph: str, tmp_path: Path) -> None:
    whole = await run(graph, ScriptedModel(chatty), tmp_path / "whole")
    for calls in sorted({1, 2, whole.usage.calls // 2, whole.usage.calls - 1} - {0, whole.usage.calls}):
        result = await run(graph, ScriptedModel(chatty), tmp_path / str(calls), budget=Budget(calls=calls))
        assert result.usage.calls <= calls
        assert result.partial or result.usage.calls < calls


@pytest.mark.parametrize("graph", SHIPPED)
async def test_failing_calls_are_recorded_and_the_rest_goes_on(graph: str, tmp_path: Path) -> None:
    count = iter(range(10**6))

    def every_third(request: Request) -> str:
        if next(count) % 3 == 2:
            raise ModelError("The server has a bad day.")
        return chatty(request)

    try:
        result = await run(graph, ScriptedModel(every_third), tmp_path)
    except ModelError as error:
        assert "bad day" in str(error)
        return
    failed = [call for call in record_of(result).calls if call.error and not call.cancelled]
    assert result.text
    assert all("bad day" in str(call.error) for call in failed)


@pytest.mark.parametrize("graph", SHIPPED)
async def test_stopped_it_returns_what_it_has(graph: str, tmp_path: Path) -> None:
    started = asyncio.Event()

    async def hangs_at_last(request: Request) -> str:
        if len(model.requests) > 1:
            started.set()
            await asyncio.Event().wait()
        return chatty(request)

    model = ScriptedModel(hangs_at_last)
    async with open_runner(graph, model=model, traces=tmp_path, tools=tools_for(graph)) as runner:
        running = runner.start(TASK, seed=3)
        waiting = asyncio.ensure_future(running.result())
        stuck = asyncio.ensure_future(started.wait())
        await asyncio.wait({waiting, stuck}, return_when=asyncio.FIRST_COMPLETED)
        running.stop()
        result = await waiting
        stuck.cancel()
    assert result.partial or len(model.requests) == 1


@pytest.mark.parametrize("kept", [0.3, 0.7])
@pytest.mark.parametrize("graph", SHIPPED)
async def test_killed_it_goes_on_without_paying_twice(graph: str, kept: float, tmp_path: Path) -> None:
    first = ScriptedModel(chatty)
    result = await run(graph, first, tmp_path)
    record = record_of(result)
    ended = [call for call in record.calls if call.completion is not None and not call.error]
    before = ended[: int(len(ended) * kept)]
    half = replace(record, calls=tuple(before), finish=None)
    second = ScriptedModel(chatty)
    resumed = await run(graph, second, tmp_path, past=Recording(half))
    paid = {asked(call.request) for call in before}
    assert resumed.answer == result.answer
    assert not paid & {asked(request) for request in second.requests}
    assert len(second.requests) <= len(first.requests) - len(before)


def settings_of(graph: str) -> dict[str, Any]:
    return load_graph(graph).settings.model_dump()


@pytest.mark.parametrize("graph", SHIPPED)
def test_its_settings_say_what_they_are(graph: str) -> None:
    assert load_graph(graph).summary.strip()
    assert json.dumps(settings_of(graph))
