"""Vote and critique around somebody's own LangGraph agent, which knows nothing of Maieutic.

Their agent is a compiled graph; here it guesses, so that there is something to vote about. A real one would call
models, tools and services of its own: `from_langgraph` only puts the question in and takes the answer out.
"""

import asyncio
import itertools
from typing import TypedDict

from langgraph.graph import END, START, StateGraph

import maieutic
from maieutic.agents.own import from_langgraph, own_solver


class TheirState(TypedDict, total=False):
    question: str
    answer: str


guesses = itertools.cycle(["42", "41", "42", "42", "40"])


def guess(state: TheirState) -> TheirState:
    return {"answer": f"It is a product.\nAnswer: {next(guesses)}"}


theirs = StateGraph(TheirState)
theirs.add_node("guess", guess)
theirs.add_edge(START, "guess")
theirs.add_edge("guess", END)

their_agent = own_solver(from_langgraph(theirs.compile(), ask="question", answer="answer"))


async def main() -> None:
    maieutic.register_agent("theirs")(their_agent)
    for graph, settings in (
        ("self_consistency", {"solver": "theirs", "samples": 5, "early_stop": False}),
        ("critique", {"solver": "theirs", "rounds": 1}),
    ):
        result = await maieutic.arun("What is six times seven?", graph, model="in-box", graph_settings=settings, seed=1)
        print(f"{graph}: {result.answer} ({result.usage.calls} calls of our own)")


if __name__ == "__main__":
    asyncio.run(main())
