"""Take the question apart in fifteen sections, answer at the end, and on request check the assumptions.

REAP (Lingo et al. 2024, arXiv 2409.09415): one prompt that forces a literal reading, a list of features, a ledger of
facts and deductions, several solutions and a reflection before the answer. Sections that are missing are asked for
once. Beyond the paper, a critic may read the ledger, the reflection and the answer, and a refiner repairs what it
rejects.
"""

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.critic import Critique
from maieutic.agents.deconstructor import Deconstruction
from maieutic.agents.registry import make_agent
from maieutic.context import Context
from maieutic.errors import ModelError
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.types import Sampling


class Settings(GraphSettings):
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature of who takes apart and who repairs; None leaves it to the run."""
    deconstructor: str = "deconstructor"
    critic: str | None = None
    """Who reads the facts, the reflection and the answer; None is nobody, as in the paper."""
    refiner: str = "refiner"
    """Agents by name or `package.module:name`."""


class State(TypedDict, total=False):
    deconstruction: str
    missing: bool
    critique: str
    objects: bool


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    sampling = Sampling(temperature=settings.temperature)
    deconstructor, refiner = make_agent(settings.deconstructor, sampling), make_agent(settings.refiner, sampling)
    critic = make_agent(settings.critic) if settings.critic else None

    async def deconstruct(state: State, ctx: Context) -> dict[str, Any]:
        made: Deconstruction = await deconstructor(ctx)
        ctx.propose(made.solution.proposal)
        _gate(ctx, made, "first")
        talks = ctx.model_for(getattr(deconstructor, "role", "deconstructor")).profile.conversation
        return {"deconstruction": ctx.keep(made), "missing": bool(made.missing) and talks}

    async def complete(state: State, ctx: Context) -> dict[str, Any]:
        first = ctx.recall(state["deconstruction"], Deconstruction)
        try:
            made: Deconstruction = await deconstructor.complete(ctx, first)
        except ModelError:
            return {}  # recorded; what there is stays
        ctx.propose(made.solution.proposal)
        _gate(ctx, made, "again")
        return {"deconstruction": ctx.keep(made)}

    async def check(state: State, ctx: Context) -> dict[str, Any]:
        assert critic is not None
        made = ctx.recall(state["deconstruction"], Deconstruction)
        critique: Critique = await critic(ctx, made.checkable())
        return {"critique": ctx.keep(critique), "objects": critique.accepts is False}

    async def repair(state: State, ctx: Context) -> dict[str, Any]:
        made = ctx.recall(state["deconstruction"], Deconstruction)
        repaired = await refiner(ctx, made.checkable(), ctx.recall(state["critique"], Critique))
        if repaired.answer is not None:
            ctx.propose(repaired.proposal)
        return {}

    then = "check" if critic is not None else END

    def after_first(state: State) -> str:
        return "complete" if state["missing"] else then

    def after_check(state: State) -> str:
        return "repair" if state["objects"] else END

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "deconstruct", deconstruct)
    add_node(graph, "complete", complete)
    graph.add_edge(START, "deconstruct")
    graph.add_conditional_edges("deconstruct", after_first, ["complete", then])
    graph.add_edge("complete", then)
    if critic is not None:
        add_node(graph, "check", check)
        add_node(graph, "repair", repair)
        graph.add_conditional_edges("check", after_check, ["repair", END])
        graph.add_edge("repair", END)
    return graph


def _gate(ctx: Context, made: Deconstruction, turn: str) -> None:
    word = "incomplete" if made.missing else "settled" if made.settled else "complete"
    ctx.gate("sections", word, turn=turn, of=made.call_id, found=list(made.sections), missing=list(made.missing))
