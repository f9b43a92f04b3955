"""One model thinks at length, another writes the answer briefly or hands back for more thought, in turns.

Long⊗Short: Ning et al. 2025, arXiv 2505.11827. Give the role `long-thinker` or `short-thinker` a model of its own
(`models={"long-thinker": …}`).

Deviations: the released loop goes on until there is an answer, whatever that takes; here `turns` bounds it, and in the
last turn the short thinker is told that it has to answer. A reply of its that can't be read hands back, as there.
"""

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.long_thinker import LongThought, Said
from maieutic.agents.registry import make_agent
from maieutic.agents.short_thinker import Conclusion
from maieutic.context import Context, Proposal
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.types import Sampling


class Settings(GraphSettings):
    turns: int = Field(default=4, ge=1, le=16)
    """Turns at most, of a thought and a conclusion each."""
    tokens: int = Field(default=2048, ge=1)
    """Tokens of a thought, and of a conclusion, at most."""
    temperature: float | None = Field(default=0.3, ge=0)
    """Sampling temperature of both; None leaves it to the run."""
    long: str = "long-thinker"
    short: str = "short-thinker"
    """Agents by name or `package.module:name`."""


class State(TypedDict, total=False):
    turn: int
    history: list[str]
    again: bool


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    sampling = Sampling(temperature=settings.temperature)
    long, short = make_agent(settings.long, sampling), make_agent(settings.short, sampling)

    async def think(state: State, ctx: Context) -> dict[str, Any]:
        history = state.get("history", [])
        thought: LongThought = await long(ctx, _turns(history, ctx), most=settings.tokens)
        if ctx.run.best is None:
            ctx.propose(Proposal(None, thought.text, thought.call_id))
        return {"turn": state.get("turn", 0) + 1, "history": [*history, ctx.keep(thought)]}

    async def conclude(state: State, ctx: Context) -> dict[str, Any]:
        last = state["turn"] >= settings.turns
        concluded: Conclusion = await short(ctx, _turns(state["history"], ctx), last, most=settings.tokens)
        if concluded.answer is not None or ctx.run.best is None or ctx.run.best.answer is None:
            ctx.propose(concluded.proposal)
        decision = {True: "rethink", False: "answer", None: "missing"}[concluded.rethink]
        ctx.gate(
            "rethink",
            decision,
            turn=state["turn"],
            of=settings.turns,
            answer=concluded.answer,
            call_id=concluded.call_id,
        )
        again = concluded.rethink is not False and not last
        return {"history": [*state["history"], ctx.keep(concluded)], "again": again}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "think", think)
    add_node(graph, "conclude", conclude)
    graph.add_edge(START, "think")
    graph.add_edge("think", "conclude")
    graph.add_conditional_edges("conclude", lambda state: "think" if state["again"] else END, ["think", END])
    return graph


def _turns(keys: list[str], ctx: Context) -> list[Said]:
    """The dialogue so far: thoughts and conclusions, in turns."""
    turns: list[Said] = []
    for i, key in enumerate(keys):
        turns.append(ctx.recall(key, Conclusion) if i % 2 else ctx.recall(key, LongThought))
    return turns
