"""The control of `critical_path.py`: a graph that does what none may do, its five branches one after another."""

from pathlib import Path
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from maieutic.agents.registry import make_agent
from maieutic.context import Context
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.types import Sampling

PATH = Path(__file__)
BRANCHES = 5


class Settings(GraphSettings):
    pass


class State(TypedDict, total=False):
    done: bool


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    solver = make_agent("solver", Sampling())

    async def sample(state: State, ctx: Context) -> dict[str, Any]:
        for number in range(BRANCHES):
            async with ctx.fork(f"sample-{number}") as branch:
                ctx.propose((await solver(branch)).proposal)
        return {"done": True}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "sample", sample)
    graph.add_edge(START, "sample")
    graph.add_edge("sample", END)
    return graph
