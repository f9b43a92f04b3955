"""Has an answer at once, and goes on for a minute."""

import asyncio
from pathlib import Path
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from maieutic.context import Context, Proposal
from maieutic.graphs.graph import GraphSettings, add_node

PATH = Path(__file__)


class Settings(GraphSettings):
    pass


class State(TypedDict, total=False):
    done: bool


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    async def work(state: State, ctx: Context) -> dict[str, Any]:
        said = await ctx.sample("solver", ({"role": "user", "content": ctx.task["question"]},))
        ctx.propose(Proposal("41", "Answer: 41", said.call_id))
        await asyncio.sleep(60)
        return {"done": True}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "work", work)
    graph.add_edge(START, "work")
    graph.add_edge("work", END)
    return graph
