"""Compose a reasoning trajectory for each question: analyse it or not, think or run programs, verify or not.

DOTS (Yue et al. 2024, arXiv 2410.03864): three layers, of which each question gets one action each: {none, rewrite,
decompose} x {cot, program} x {none, verify}, 12 trajectories in all. `maieutic plan` searches them offline, question
by question, for one solver (maieutic/collector/arms.py); this graph then follows the trajectory that fared best on the
nearest logged questions, and `default` where none is near.

Deviations: the paper trains the planner; here it is a lookup among the nearest questions, and the logged plans are what
it would be trained on. A program is a call of the run's tools, whose errors the solver sees and repairs.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field, field_validator

from maieutic.agents.analyst import Analysis
from maieutic.agents.critic import Critique
from maieutic.agents.registry import make_agent
from maieutic.agents.solver import unaided
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.errors import ModelError, UserError
from maieutic.graphs.choosing import best, fared, inputs
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.memory.outcomes import Outcomes

ANALYSES, SOLUTIONS, VERIFICATIONS = ("none", "rewrite", "decompose"), ("cot", "program"), ("none", "verify")
TRAJECTORIES = tuple("/".join(layers) for layers in product(ANALYSES, SOLUTIONS, VERIFICATIONS))
ARMS: Mapping[str, dict[str, Any]] = {name: {"trajectory": name} for name in TRAJECTORIES}


class Settings(GraphSettings):
    trajectory: str | None = None
    """One trajectory for every question, such as decompose/program/none; None looks for the one that fares best."""
    outcomes: str | None = None
    """The file of outcomes to look into (`maieutic plan` writes it)."""
    default: str = "none/cot/none"
    """The trajectory where no question near this one was tried."""
    neighbours: int = Field(default=8, ge=1)
    threshold: float = Field(default=0.25, ge=0, le=1)
    """The nearest questions that count, and how like this one they must be."""
    least: int = Field(default=3, ge=1)
    """Judged trials that a trajectory needs before it is chosen."""
    solver: str = "solver"
    executor: str = "executor"
    rephraser: str = "rephraser"
    decomposer: str = "decomposer"
    critic: str = "critic"
    refiner: str = "refiner"
    """Agents by name or `package.module:name`."""

    @field_validator("trajectory", "default")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in TRAJECTORIES:
            raise ValueError(f"there is no trajectory {value!r}; they are {', '.join(TRAJECTORIES)}")
        return value


class State(TypedDict, total=False):
    trajectory: list[str]
    analysis: str
    solution: str


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    store = Outcomes(settings.outcomes) if settings.outcomes else None
    analysts = {"rewrite": make_agent(settings.rephraser), "decompose": make_agent(settings.decomposer)}
    solver, executor = make_agent(settings.solver), make_agent(settings.executor)
    critic, refiner = make_agent(settings.critic), make_agent(settings.refiner)

    async def plan(state: State, ctx: Context) -> dict[str, Any]:
        trajectory = settings.trajectory or await _nearest(ctx, store, settings)
        layers = trajectory.split("/")
        if layers[1] == "program" and not ctx.tools:
            raise UserError(f"The trajectory {trajectory} runs programs: give the run a tool, such as --tool python.")
        return {"trajectory": layers}

    async def analyse(state: State, ctx: Context) -> dict[str, Any]:
        try:
            return {"analysis": ctx.keep(await analysts[state["trajectory"][0]](ctx))}
        except ModelError as error:  # the question can be solved without
            ctx.record("error", error=f"{type(error).__name__}: {error}")
            return {}

    async def solve(state: State, ctx: Context) -> dict[str, Any]:
        agents = (solver, executor)
        if state["trajectory"][1] == "cot":
            agents = (unaided(solver), unaided(executor))
        analysis = ctx.recall(state["analysis"], Analysis) if "analysis" in state else None
        if analysis is None or analysis.text is None:  # an analysis that can't be read is none
            solution = await agents[0](ctx)
        else:
            solution = await agents[1](ctx, analysis.text)
        ctx.propose(solution.proposal)
        return {"solution": ctx.keep(solution)}

    async def verify(state: State, ctx: Context) -> dict[str, Any]:
        solution = ctx.recall(state["solution"], Solution)
        critique: Critique = await critic(ctx, solution)
        word = "missing" if critique.accepts is None else "accept" if critique.accepts else "repair"
        ctx.gate("verification", word, of=solution.call_id, first_wrong=critique.first_wrong)
        if critique.accepts is False:
            repaired = await (refiner if state["trajectory"][1] == "program" else unaided(refiner))(
                ctx, solution, critique
            )
            if repaired.answer is not None:
                ctx.propose(repaired.proposal)
        return {}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "plan", plan)
    add_node(graph, "analyse", analyse)
    add_node(graph, "solve", solve)
    add_node(graph, "verify", verify)
    graph.add_edge(START, "plan")
    first = {"none": "solve", "rewrite": "analyse", "decompose": "analyse"}
    graph.add_conditional_edges("plan", lambda state: first[state["trajectory"][0]], ["analyse", "solve"])
    graph.add_edge("analyse", "solve")
    last = {"none": END, "verify": "verify"}
    graph.add_conditional_edges("solve", lambda state: last[state["trajectory"][2]], ["verify", END])
    graph.add_edge("verify", END)
    return graph


async def _nearest(ctx: Context, store: Outcomes | None, settings: Settings) -> str:
    """The trajectory that fared best on the nearest questions, of those that this run can follow."""
    able = [name for name in TRAJECTORIES if ctx.tools or "program" not in name]
    found = []
    if store is not None:
        found = await fared(ctx, store, able, "solver", settings.neighbours, settings.threshold)
    chosen = best(found, settings.least)
    seen = inputs(found, least=settings.least, threshold=settings.threshold, looked_up=chosen is not None)
    ctx.gate("trajectory", chosen or settings.default, **seen)
    return chosen or settings.default
