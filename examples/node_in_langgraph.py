"""A graph of ours as one node of somebody's LangGraph graph."""

import asyncio
from typing import TypedDict

from langgraph.graph import END, START, StateGraph

import maieutic


class Numbers(TypedDict):
    left: int
    right: int


class State(Numbers, total=False):
    question: str
    answer: str
    sentence: str


def ask(state: State) -> dict[str, str]:
    sum_ = f"{state['left']} + {state['right']}"
    return {"question": f"State the final answer to the following arithmetic problem: {sum_} ="}


def tell(state: State) -> dict[str, str]:
    return {"sentence": f"Together they are {state.get('answer')}."}


async def main() -> None:
    think = maieutic.as_node("self_consistency", model="in-box", graph_settings={"samples": 5})
    graph = StateGraph(State)
    graph.add_node("ask", ask)
    graph.add_node("think", think)
    graph.add_node("tell", tell)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", "think")
    graph.add_edge("think", "tell")
    graph.add_edge("tell", END)
    done = await graph.compile().ainvoke({"left": 7, "right": 5})
    print(done["sentence"])
    await think.aclose()


if __name__ == "__main__":
    asyncio.run(main())
