"""Go on with a text that breaks off: the graph by which contamination is probed.

The task's question is the text. It stands in the user's turn, which is left open, so that the model writes on as if it
were still the user who speaks; nothing tells it to. The answer is what it wrote, whole.
"""

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from maieutic.context import Context, Proposal
from maieutic.errors import ModelError
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.types import Message, Sampling

ROLE = "writer"


class Settings(GraphSettings):
    pass


class State(TypedDict, total=False):
    pass


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    async def write(state: State, ctx: Context) -> dict[str, Any]:
        open_turn: Message = {"role": "user", "content": ctx.task["question"]}
        said = await ctx.sample(ROLE, (open_turn,), sampling=Sampling(temperature=0), continue_final=True)
        if not said.completion.usage.completion_tokens and ctx.model_for(ROLE).profile.kind == "in-box":
            raise ModelError("The model in the box does not go on with this text: probe another one, with --model.")
        written = said.completion.text
        ctx.propose(Proposal(written or None, written, said.call_id))
        return {}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "write", write)
    graph.add_edge(START, "write")
    graph.add_edge("write", END)
    return graph
