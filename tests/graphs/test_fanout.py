"""Branches side by side, and graphs of users' own making that behave oddly."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph

from maieutic.context import Context, Proposal, Utterance
from maieutic.graphs.fanout import fan_out
from maieutic.graphs.graph import Graph, GraphSettings, add_node
from maieutic.llm.scripted import ScriptedModel
from maieutic.runner import arun
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.types import Outcome
from tests.conftest import Ask


class State(TypedDict):
    """These graphs keep nothing in their state."""


Action = Callable[[Any, Context], Awaitable[dict[str, Any]]]


def graph_of(action: Action, endless: bool = False) -> Graph:
    """A graph with `action` as its node, or as two nodes that take turns for ever."""

    def build(settings: GraphSettings) -> "StateGraph[Any, Context, Any, Any]":
        graph: StateGraph[Any, Context, Any, Any] = StateGraph(State, context_schema=Context)
        for name in ("a", "b") if endless else ("a",):
            add_node(graph, name, action)
        graph.add_edge(START, "a")
        graph.add_edge("a", "b" if endless else END)
        if endless:
            graph.add_edge("b", "a")
        return graph

    module = ModuleType("own", "An own graph.")
    vars(module).update(Settings=GraphSettings, build=build)
    return Graph.of("own", module, {})


async def speak(ctx: Context) -> Utterance:
    return await ctx.sample("solver", ({"role": "user", "content": "x"},))


async def test_a_branch_that_raises_anything_leaves_its_siblings_alone(tmp_path: Path) -> None:
    async def work(ctx: Context) -> str:
        said = await speak(ctx)
        if ctx.branch.path == "a":
            raise KeyError("odd")
        return said.call_id

    async def act(state: Any, ctx: Context) -> dict[str, Any]:
        ctx.propose(Proposal("7", "Answer: 7", (await fan_out(ctx, ["a", "b", "c"], work))[0]))
        return {}

    result = await arun("?", graph_of(act), model=ScriptedModel("x", latency=0.01), traces=tmp_path)
    assert (result.answer, result.usage.calls) == ("7", 3)
    with TraceReader(tmp_path) as reader:
        (error,) = reader.run(result.run_id).events_of("error")
    assert (error.fields["branch"], error.fields["error"]) == ("a", "KeyError: 'odd'")


async def test_when_every_branch_raises_the_first_is_told(tmp_path: Path) -> None:
    async def work(ctx: Context) -> None:
        raise KeyError(ctx.branch.path)

    async def act(state: Any, ctx: Context) -> dict[str, Any]:
        await fan_out(ctx, ["a", "b"], work)
        return {}

    with pytest.raises(KeyError):
        await arun("?", graph_of(act), model=ScriptedModel("x"), traces=tmp_path)


async def test_a_branch_name_used_again_does_not_draw_the_same_seed_again(tmp_path: Path) -> None:
    async def act(state: Any, ctx: Context) -> dict[str, Any]:
        for _ in range(3):
            await fan_out(ctx, ["a", "b"], speak)
        return {}

    model = ScriptedModel("x")
    await arun("?", graph_of(act), model=model, traces=tmp_path)
    assert len({request.sampling.seed for request in model.requests}) == 6


async def test_a_graph_without_an_end_returns_its_best_answer(tmp_path: Path) -> None:
    async def act(state: Any, ctx: Context) -> dict[str, Any]:
        ctx.propose(Proposal("7", "Answer: 7"))
        return {}

    result = await arun("?", graph_of(act, endless=True), model=ScriptedModel("x"), traces=tmp_path)
    assert (result.answer, result.partial) == ("7", True)
    assert "did not end within 64 steps" in result.reason


async def test_an_answer_that_the_text_does_not_spell_out_is_judged(tmp_path: Path) -> None:
    async def act(state: Any, ctx: Context) -> dict[str, Any]:
        ctx.propose(Proposal("7", "it is seven"))
        return {}

    task = Task(question="?", gold="7")
    result = await arun(task, graph_of(act), model=ScriptedModel("x"), traces=tmp_path)
    assert result.outcome == Outcome.CORRECT


async def test_annotations_may_be_text_in_a_graph_file(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        '''"""An own graph."""
from __future__ import annotations

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from maieutic.context import Context, Proposal
from maieutic.graphs.graph import GraphSettings, add_node


class Settings(GraphSettings):
    answer: Any = "7"


class State(TypedDict, total=False):
    said: Any


def build(settings: Settings) -> StateGraph:
    async def act(state: State, ctx: Context) -> dict[str, Any]:
        ctx.propose(Proposal(settings.answer, "x"))
        return {"said": 1}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "a", act)
    add_node(graph, "b", act)
    graph.add_edge(START, "a")
    graph.add_edge("a", "b")
    graph.add_edge("b", END)
    return graph
'''
    )
    assert (await ask(ScriptedModel("x"), str(path))).answer == "7"
