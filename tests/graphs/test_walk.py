"""A walk does what LangGraph's engine would do, and is taken only where that is so."""

import operator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph

from maieutic.context import Context
from maieutic.errors import MaieuticError
from maieutic.graphs.graph import Graph, GraphSettings, add_node
from maieutic.graphs.registry import load_graph
from maieutic.graphs.walk import walk_of
from maieutic.llm.scripted import ScriptedModel
from maieutic.trace.record import RunRecord
from tests.support.contexts import open_context


class State(TypedDict, total=False):
    n: int
    said: str


async def more(state: State, ctx: Context) -> dict[str, Any]:
    return {"n": state.get("n", 0) + 1, "said": ctx.node}


async def nothing(state: State, ctx: Context) -> dict[str, Any]:
    return {}


def again(state: State) -> str:
    return "more" if state["n"] < 3 else END  # pyright: ignore[reportTypedDictNotRequiredAccess]


def several(state: State) -> list[str]:
    return ["more", "other"]


def counting(after: Any = again) -> "StateGraph[State, Context, State, State]":
    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "more", more)
    add_node(graph, "other", nothing)
    graph.add_edge(START, "other")
    graph.add_edge("other", "more")
    graph.add_conditional_edges("more", after, ["more", "other", END])
    return graph


SCRIPT = {
    "Solve the problem": ["Answer: 8", "Answer: 7", "Answer: 9"],
    "You check": ["First wrong step: 1", "First wrong step: none"],
    "You repair": "Answer: 7",
    "disagree; one": "Answer: 7",
}


async def calls_of(graph: Graph, folder: Path) -> list[tuple[str, str, str, str | None]]:
    recorded: list[RunRecord] = []
    async with open_context(folder, ScriptedModel(SCRIPT), recorded) as ctx:
        await graph(ctx)
        best = ctx.run.best.answer if ctx.run.best else None
    return [(call.node, call.role, call.branch, best) for call in recorded[0].calls]


@pytest.mark.parametrize("name", ["critique", "debate", "tool_loop", "direct"])
async def test_a_walk_and_the_engine_do_the_same(name: str, tmp_path: Path) -> None:
    graph = load_graph(name)
    assert graph.walk is not None
    walked = await calls_of(graph, tmp_path / "walk")
    assert walked == await calls_of(replace(graph, walk=None), tmp_path / "engine")
    assert walked


async def test_state_is_passed_on_and_replaced(tmp_path: Path) -> None:
    seen: list[State] = []

    async def look(state: State, ctx: Context) -> dict[str, Any]:
        seen.append(state)
        return {}

    graph = counting()
    add_node(graph, "look", look)
    graph.branches["more"].clear()
    graph.add_edge("more", "look")
    graph.add_edge("look", END)
    walk = walk_of(graph)
    assert walk is not None
    async with open_context(tmp_path, ScriptedModel("x"), []) as ctx:
        await walk(ctx, 10)
    assert seen == [{"n": 1, "said": "more"}]


async def test_the_bound_on_steps_holds(tmp_path: Path) -> None:
    def for_ever(state: State) -> str:
        return "more"

    module: Any = SimpleNamespace(
        Settings=GraphSettings, build=lambda settings: counting(for_ever), STEPS=5, __doc__="x"
    )
    for graph in (Graph.of("endless", module, {}), replace(Graph.of("endless", module, {}), walk=None)):
        async with open_context(tmp_path / str(graph.walk is None), ScriptedModel("x"), []) as ctx:
            with pytest.raises(MaieuticError, match="did not end within 5 steps"):
                await graph(ctx)


def test_a_condition_that_may_name_several_nodes_is_left_to_the_engine() -> None:
    assert walk_of(counting(several)) is None
    assert walk_of(counting(lambda state: END)) is None
    assert walk_of(counting()) is not None


def test_other_graphs_are_left_to_the_engine() -> None:
    class Sums(TypedDict, total=False):
        n: Annotated[int, operator.add]

    reducing = StateGraph(Sums, context_schema=Context)
    add_node(reducing, "more", more)
    reducing.add_edge(START, "more")
    foreign = counting()
    foreign.add_node("foreign", lambda state: {})
    fanned = counting()
    fanned.add_edge("other", END)
    jumping = counting()
    add_node(jumping, "jump", nothing, destinations=("more",))
    jumping.add_edge("jump", END)
    assert [walk_of(graph) for graph in (reducing, foreign, fanned, jumping)] == [None] * 4
