"""Answer from own documents: a graph that rewrites the question, retrieves, lets the model reorder, and answers."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

import maieutic
from maieutic.agents.reranker import SetwiseReranker
from maieutic.agents.rewriter import Rewriter
from maieutic.context import Proposal
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.tools.retrieval import retrieval_tool, source_tool
from maieutic.tools.retrieval.index import Index
from maieutic.tools.retrieval.indexing import Wanted, update_index

FOUND, SHOWN = 20, 3


class Settings(GraphSettings):
    index: Path


class State(TypedDict, total=False):
    """What passes between nodes: one node needs none."""


def build(settings: Settings) -> "StateGraph[State, maieutic.Context, State, State]":
    index = Index(settings.index)

    async def answer(state: State, ctx: maieutic.Context) -> dict[str, Any]:
        rewriting = await Rewriter()(ctx)
        hits = await asyncio.to_thread(index.search, rewriting.query, FOUND)
        ranking = await SetwiseReranker(best=SHOWN)(ctx, rewriting.query, [hit.passage.text for hit in hits])
        best = [hits[i].passage.text.strip() for i in ranking.order[:SHOWN]]
        passages = "\n\n".join(f"[{number}] {text}" for number, text in enumerate(best, 1))
        asked = f"Answer from these passages, and cite them:\n\n{passages}\n\n{ctx.task['question']}"
        said = await ctx.sample("solver", ({"role": "user", "content": asked},))
        ctx.propose(Proposal(said.text, said.text, said.call_id))
        return {}

    graph = StateGraph(State, context_schema=maieutic.Context)
    add_node(graph, "answer", answer)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    return graph


if __name__ == "__main__":
    from maieutic.llm.scripted import call_tool

    with TemporaryDirectory() as folder:
        place = Path(folder) / "indexes" / "handbook"
        (Path(folder) / "pumps.txt").write_text("A pump that cavitates loses its prime. Bleed the inlet line.")
        (Path(folder) / "valves.txt").write_text("A valve seat wears out. Lap the seat with grinding paste.")
        update_index(place, Wanted((Path(folder, "pumps.txt"), Path(folder, "valves.txt"))))

        # As tools, in any graph: the model decides what to look for.
        tools = [retrieval_tool("handbook", root=place.parent), source_tool("handbook", root=place.parent)]
        model = maieutic.ScriptedModel([call_tool("retrieve", query="worn valve seat"), "Answer: lap it [1]"])
        print(maieutic.run("What to do with a worn valve seat?", "tool_loop", model=model, tools=tools).answer)

        # As steps of an own graph.
        replies = {"choose among search results": "Choice: 1", "these passages": "Bleed the inlet line [1]."}
        model = maieutic.ScriptedModel(replies)
        result = maieutic.run("My pump lost its prime.", __file__, model=model, graph_settings={"index": str(place)})
        print(result.answer)
