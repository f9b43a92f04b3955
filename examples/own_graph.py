"""Solve twice and let a judge choose.

An own graph is one file with a docstring, a `Settings` class and `build(settings)`. Use it by its path:
`maieutic ask "…" --graph examples/own_graph.py`.
"""

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from maieutic.agents.registry import make_agent
from maieutic.context import Context
from maieutic.graphs.fanout import fan_out
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.types import Sampling


class Settings(GraphSettings):
    temperature: float = 1.0
    """Sampling temperature of the two solvers."""


class State(TypedDict, total=False):
    """What passes between nodes: keys and small JSON; one node needs none."""


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    solver = make_agent("solver", Sampling(temperature=settings.temperature))
    judge = make_agent("judge")

    async def solve_and_judge(state: State, ctx: Context) -> dict[str, Any]:
        solutions = await fan_out(ctx, ["first", "second"], solver)
        chosen = await judge(ctx, solutions)
        ctx.propose((chosen or solutions[0]).proposal)
        return {}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "solve_and_judge", solve_and_judge)
    graph.add_edge(START, "solve_and_judge")
    graph.add_edge("solve_and_judge", END)
    return graph


if __name__ == "__main__":
    import maieutic

    question = "State the final answer to the following arithmetic problem: 8 - 5 + 6 ="
    print(maieutic.run(question, __file__, model="in-box", seed=3).answer)
