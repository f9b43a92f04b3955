"""Choose between the candidates that a task brings along: the graph by which judges are measured.

A task's `inputs` hold two `candidates` or more; the answer is the number of the chosen one, "tie" where the two orders
contradict each other, and none where a choice could not be read. By default the judge is bare: nothing is done against
its biases, so that they show.
"""

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from maieutic.agents.registry import make_agent
from maieutic.agents.speech import Solution
from maieutic.context import Context, Proposal
from maieutic.errors import UserError
from maieutic.graphs.graph import add_node
from maieutic.graphs.judging import JudgeSettings

TIE = "tie"


class Settings(JudgeSettings):
    judge: str = "judge"
    """Who judges, by name or `package.module:name`."""
    sanitise: bool = False
    """Whether what sways a judge is taken out of the candidates, as the shipped graphs do."""


class State(TypedDict, total=False):
    pass


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    judge = settings.debiased(make_agent(settings.judge), settings.sanitise)

    async def choose(state: State, ctx: Context) -> dict[str, Any]:
        texts = ctx.task["inputs"].get("candidates")
        if not isinstance(texts, list) or len(texts) < 2:
            raise UserError(f"Task {ctx.task['id']!r} has no candidates: give its inputs a list of two texts or more.")
        made = await judge.decide(ctx, [Solution(str(text), None, "") for text in texts])
        answer = str(made.choices[0]) if made.state == "chosen" else TIE if made.state == "tie" else None
        ctx.propose(Proposal(answer, f"Answer: {answer}" if answer else f"{made.state}: {list(made.choices)}"))
        return {}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "choose", choose)
    graph.add_edge(START, "choose")
    graph.add_edge("choose", END)
    return graph
