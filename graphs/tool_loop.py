"""Think and act in turns: the solver thinks, its tool calls are run, it thinks again.

The ReAct shape (Yao et al. 2023, arXiv 2210.03629) with native tool calls: each thought and each action is a node of
its own, so that the loop can be watched and interrupted between them.
"""

from dataclasses import replace
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.solver import question_in_conversation
from maieutic.agents.speech import act, read_solution
from maieutic.context import Context, Utterance
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.trace.record import Parent
from maieutic.types import Message

STEPS = 130


class Settings(GraphSettings):
    max_turns: int = Field(default=8, ge=1, le=60)
    """Thoughts at most; in the last one no tool may be called, so that it is an answer."""


class State(TypedDict, total=False):
    turn: int
    said: str
    acting: bool


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    async def think(state: State, ctx: Context) -> dict[str, Any]:
        turn = state.get("turn", 0) + 1
        last = turn >= settings.max_turns
        said = await ctx.sample(
            "solver",
            _conversation(ctx, state),
            tools=() if settings.max_turns == 1 else ctx.tools,
            tool_choice="none" if last else None,
            parents=(Parent(ctx.recall(state["said"], Utterance).call_id, "continuation"),) if "said" in state else (),
        )
        acting = bool(said.completion.tool_calls) and not last
        if not acting:
            ctx.propose(read_solution(ctx, said).proposal)
        return {"turn": turn, "said": ctx.keep(said), "acting": acting}

    async def use_tools(state: State, ctx: Context) -> dict[str, Any]:
        said = ctx.recall(state["said"], Utterance)
        return {"said": ctx.keep(replace(said, messages=await act(ctx, said)))}

    def after_thought(state: State) -> str:
        return "act" if state["acting"] else END

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "think", think)
    add_node(graph, "act", use_tools)
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", after_thought, ["act", END])
    graph.add_edge("act", "think")
    return graph


def _conversation(ctx: Context, state: State) -> tuple[Message, ...]:
    if "said" in state:
        return ctx.recall(state["said"], Utterance).messages
    return question_in_conversation(ctx, "solver")
