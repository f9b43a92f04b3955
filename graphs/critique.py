"""Solve, let a critic name the first wrong step, repair, and keep the best.

Step-level critique in the manner of AutoMathCritique (Xi et al. 2024, arXiv 2411.16579): the critic speaks of steps,
the refiner rewrites, and nothing is rewritten that the critic accepts. A critique without a readable verdict changes
nothing: refining everything was measured to do harm (docs/graphs/README.md).
"""

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.critic import Critique
from maieutic.agents.registry import make_agent
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.types import Sampling

STEPS = 64


class Settings(GraphSettings):
    rounds: int = Field(default=2, ge=1, le=16)
    """Critiques at most; each one that finds a wrong step is followed by a repair."""
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature of the solver and the refiner; None leaves it to the run."""
    solver: str = "solver"
    critic: str = "critic"
    refiner: str = "refiner"
    """Agents by name or `package.module:name`."""


class State(TypedDict, total=False):
    draft: str
    critique: str
    round: int
    objects: bool


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    sampling = Sampling(temperature=settings.temperature)
    solver, critic = make_agent(settings.solver, sampling), make_agent(settings.critic)
    refiner = make_agent(settings.refiner, sampling)

    async def solve(state: State, ctx: Context) -> dict[str, Any]:
        draft = await solver(ctx)
        ctx.propose(draft.proposal)
        return {"draft": ctx.keep(draft), "round": 0}

    async def criticise(state: State, ctx: Context) -> dict[str, Any]:
        draft = ctx.recall(state["draft"], Solution)
        critique = await critic(ctx, draft)
        return {"critique": ctx.keep(critique), "round": state["round"] + 1, "objects": critique.accepts is False}

    async def repair(state: State, ctx: Context) -> dict[str, Any]:
        draft = ctx.recall(state["draft"], Solution)
        repaired = await refiner(ctx, draft, ctx.recall(state["critique"], Critique))
        if repaired.answer is None:
            return {"objects": False}
        ctx.propose(repaired.proposal)
        return {"draft": ctx.keep(repaired)}

    def after_critique(state: State) -> str:
        return "repair" if state["objects"] else END

    def after_repair(state: State) -> str:
        return "criticise" if state["objects"] and state["round"] < settings.rounds else END

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "solve", solve)
    add_node(graph, "criticise", criticise)
    add_node(graph, "repair", repair)
    graph.add_edge(START, "solve")
    graph.add_edge("solve", "criticise")
    graph.add_conditional_edges("criticise", after_critique, ["repair", END])
    graph.add_conditional_edges("repair", after_repair, ["criticise", END])
    return graph
