"""One solver, one answer.

The plain alternative that every other graph is measured against. With tools the solver may call them.
"""

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.solver import Solver
from maieutic.context import Context
from maieutic.graphs.graph import GraphSettings, add_node


class Settings(GraphSettings):
    max_turns: int = Field(default=8, ge=1)
    """Model calls of the solver, tool calls included."""


class State(TypedDict, total=False):
    solution: str


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    solver = Solver(max_turns=settings.max_turns)

    async def solve(state: State, ctx: Context) -> dict[str, Any]:
        solution = await solver(ctx)
        ctx.propose(solution.proposal)
        return {"solution": solution.call_id}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "solve", solve)
    graph.add_edge(START, "solve")
    graph.add_edge("solve", END)
    return graph
