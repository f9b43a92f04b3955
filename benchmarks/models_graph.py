"""A graph of five nodes, one call each, for `models.py`."""

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from maieutic.agents.registry import make_agent
from maieutic.context import Context
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.types import Sampling

NODES = 5


class Settings(GraphSettings):
    pass


class State(TypedDict, total=False):
    done: int


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    solver = make_agent("solver", Sampling(temperature=1.0))

    async def ask(state: State, ctx: Context) -> dict[str, Any]:
        ctx.propose((await solver(ctx)).proposal)
        return {"done": state.get("done", 0) + 1}

    graph = StateGraph(State, context_schema=Context)
    names = [f"node-{i}" for i in range(1, NODES + 1)]
    for name in names:
        add_node(graph, name, ask)
    for before, after in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(before, after)
    return graph
