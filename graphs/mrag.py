"""Order what was found, answer from one passage at a time, and give the first answer that its passage bears out.

The text part of mRAG (arXiv 2505.24073, "mRAG: Elucidating the Design Space of Multi-modal Retrieval-Augmented
Generation"): all passages are ordered in one list by the model itself, the best comes first, and few are used. Each in
turn is answered from, and the answer is validated against it. Whether a passage is enough is not asked beforehand: the
answerer may say that it doesn't know. When no answer was borne out, the model answers from its own knowledge, or says
that it doesn't know.
"""

from collections.abc import Sequence
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.passages import NEEDED, Found, Passage, look_up
from maieutic.agents.registry import make_agent
from maieutic.agents.speech import Solution
from maieutic.agents.validator import Validation
from maieutic.context import Context
from maieutic.errors import ModelError
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.tasks.abstention import abstains
from maieutic.trace.record import Parent
from maieutic.types import Sampling

NEEDS = (NEEDED,)
STEPS = 64


class Settings(GraphSettings):
    passages: int = Field(default=10, ge=1, le=20)
    """Passages that are looked up and put in order."""
    tries: int = Field(default=3, ge=1, le=20)
    """Passages that are answered from at most."""
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature of the answerer; None leaves it to the run."""
    reranker: str = "reranker"
    answerer: str = "answerer"
    validator: str = "validator"
    """Agents by name or `package.module:name`."""


class State(TypedDict, total=False):
    found: str
    at: int
    left: int
    accepted: bool


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    reranker, validator = make_agent(settings.reranker), make_agent(settings.validator)
    answerer = make_agent(settings.answerer, Sampling(temperature=settings.temperature))

    async def retrieve(state: State, ctx: Context) -> dict[str, Any]:
        found = await look_up(ctx, ctx.task["question"], settings.passages)
        order = await _order(ctx, reranker, found)
        best = tuple(found.passages[i] for i in order[: settings.tries])
        return {"found": ctx.keep(Found("", found.query, best)), "at": 0, "left": len(best)}

    async def attempt(state: State, ctx: Context) -> dict[str, Any]:
        passage = ctx.recall(state["found"], Found).passages[state["at"]]
        accepted = False
        try:
            accepted = await _attempt(ctx, answerer, validator, passage, state["at"] + 1)
        except ModelError as error:  # the next passage may do
            ctx.record("error", error=f"{type(error).__name__}: {error}")
        return {"at": state["at"] + 1, "left": state["left"] - 1, "accepted": accepted}

    async def know(state: State, ctx: Context) -> dict[str, Any]:
        ctx.propose((await answerer(ctx)).proposal)
        return {}

    def after(state: State) -> str:
        if state.get("accepted"):
            return END
        return "attempt" if state["left"] else "know"

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "retrieve", retrieve)
    add_node(graph, "attempt", attempt)
    add_node(graph, "know", know)
    graph.add_edge(START, "retrieve")
    graph.add_conditional_edges("retrieve", after, ["attempt", "know"])
    graph.add_conditional_edges("attempt", after, ["attempt", "know", END])
    graph.add_edge("know", END)
    return graph


async def _order(ctx: Context, reranker: Any, found: Found) -> Sequence[int]:
    """The passages' places, best first; where the reranker failed, as they were found."""
    try:
        ranking = await reranker(ctx, found.query, [str(passage) for passage in found.passages])
    except ModelError as error:
        ctx.record("error", error=f"{type(error).__name__}: {error}")
        return range(len(found.passages))
    order: Sequence[int] = ranking.order
    return order


async def _attempt(ctx: Context, answerer: Any, validator: Any, passage: Passage, rank: int) -> bool:
    """Answer from one passage; whether it bears the answer out. A judgement that is missing bears nothing out."""
    solution: Solution = await answerer(ctx, (passage,))
    place = {"rank": rank, "passage": passage.place, "of": solution.call_id, "answer": solution.answer}
    if solution.answer is None or abstains(solution.answer):
        ctx.gate("passage", "no_answer", **place, judgement=None)
        return False
    if ctx.run.best is None:
        ctx.propose(solution.proposal)
    claim = f"The answer to the question is: {solution.answer}"
    parents = (Parent(solution.call_id, "judge"),)
    validation: Validation = await validator(ctx, (claim,), str(passage), parents=parents)
    (judgement,) = validation.judgements
    accepts = None if judgement is None else judgement == "supported"
    ctx.record("verdict", call_id=validation.call_id, of=solution.call_id, accepts=accepts, first_wrong=None)
    ctx.emit("verdict", role="validator", accepts=accepts)
    ctx.gate("passage", "accept" if accepts else "next", **place, judgement=judgement)
    if accepts:
        ctx.propose(solution.proposal)
    return bool(accepts)
