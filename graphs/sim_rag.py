"""Answer, let a critic say whether that is enough, and if not search for what is missing and answer again.

SIM-RAG (Yang et al. 2025, arXiv 2505.02811). The first answer is from the model's own knowledge, and may be that it
doesn't know; the critic is a part of its own, since the model that answers is too sure of itself: a trained classifier
can take its place. When no answer was accepted in time, the last one is returned, and the trace says that it was
rejected. Without a readable verdict nothing is accepted. An answer that says it isn't known, or that can't be read, is
not enough without the critic being asked, which the paper does not say.
"""

from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.passages import NEEDED, Found, Passage, look_up, new_ones
from maieutic.agents.query_writer import Attempt, Query
from maieutic.agents.registry import make_agent
from maieutic.agents.speech import Solution
from maieutic.agents.sufficiency_critic import Sufficiency
from maieutic.context import Context
from maieutic.errors import ModelError
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.tasks.abstention import abstains
from maieutic.trace.record import Parent
from maieutic.types import Sampling

NEEDS = (NEEDED,)
STEPS = 64


class Settings(GraphSettings):
    max_turns: int = Field(default=4, ge=1, le=15)
    """Answers at most; there is a search between any two."""
    top_k: int = Field(default=2, ge=1, le=20)
    """Passages of one search that are added to those found before."""
    distinct: Literal["title", "place"] = "title"
    """What must be new for a passage to be added: the document it is from, or the place in it."""
    threshold: float = Field(default=0.5, ge=0, le=1)
    """Accept at this probability or more, where the critic gives one."""
    self_practice: bool = False
    """Take all turns, also after an answer that is right, and ask no critic: the trace has a row for each turn, to
    train a critic on."""
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature of the answerer; None leaves it to the run."""
    answerer: str = "answerer"
    critic: str = "sufficiency-critic"
    query_writer: str = "query-writer"
    """Agents by name or `package.module:name`; `sufficiency-probability` is a critic with a probability."""


class State(TypedDict, total=False):
    turn: int
    answer: str
    accepted: bool
    found: list[str]
    query: str
    history: list[tuple[str | None, str]]


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    answerer = make_agent(settings.answerer, Sampling(temperature=settings.temperature))
    critic, writer = make_agent(settings.critic), make_agent(settings.query_writer)

    async def answer(state: State, ctx: Context) -> dict[str, Any]:
        parents = (Parent(ctx.recall(state["query"], Query).call_id, "continuation"),) if "query" in state else ()
        solution = await answerer(ctx, _context(ctx, state), parents=parents)
        ctx.propose(solution.proposal)
        return {"turn": state.get("turn", 0) + 1, "answer": ctx.keep(solution)}

    async def judge(state: State, ctx: Context) -> dict[str, Any]:
        solution = ctx.recall(state["answer"], Solution)
        silent = settings.self_practice or solution.answer is None or abstains(solution.answer)
        word = Sufficiency(None) if silent else await _judged(ctx, critic, _context(ctx, state), solution)
        accepted = word.sufficient is True if word.probability is None else word.probability >= settings.threshold
        _tell(ctx, state, solution, word, accepted, settings)
        asked = ctx.recall(state["query"], Query).text if "query" in state else None
        return {"accepted": accepted, "history": [*state.get("history", []), (asked, _came_to(solution, word))]}

    async def write_query(state: State, ctx: Context) -> dict[str, Any]:
        earlier = [Attempt(query, came_to) for query, came_to in state["history"]]
        parents = (Parent(ctx.recall(state["answer"], Solution).call_id, "critique"),)
        return {"query": ctx.keep(await writer(ctx, _context(ctx, state), earlier, parents=parents))}

    async def retrieve(state: State, ctx: Context) -> dict[str, Any]:
        query = ctx.recall(state["query"], Query)
        if query.text is None:
            return {}
        found = await look_up(ctx, query.text, settings.top_k, query.call_id, state["turn"])
        fresh = new_ones(_context(ctx, state), found.passages, settings.distinct == "title")
        ctx.record("note", call_id=query.call_id, query=query.text, added=[passage.place for passage in fresh])
        return {"found": [*state.get("found", []), ctx.keep(Found(query.call_id, query.text, tuple(fresh)))]}

    def after(state: State) -> str:
        return END if state["accepted"] or state["turn"] >= settings.max_turns else "write_query"

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "answer", answer)
    add_node(graph, "judge", judge)
    add_node(graph, "write_query", write_query)
    add_node(graph, "retrieve", retrieve)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", "judge")
    graph.add_conditional_edges("judge", after, ["write_query", END])
    graph.add_edge("write_query", "retrieve")
    graph.add_edge("retrieve", "answer")
    return graph


def _context(ctx: Context, state: State) -> list[Passage]:
    """All that was found so far, in the order it was found in."""
    return [passage for key in state.get("found", []) for passage in ctx.recall(key, Found).passages]


async def _judged(ctx: Context, critic: Any, passages: list[Passage], solution: Solution) -> Sufficiency:
    """The critic's word; a critic that failed has none."""
    try:
        word: Sufficiency = await critic(ctx, passages, solution)
    except ModelError as error:
        ctx.record("error", error=f"{type(error).__name__}: {error}")
        return Sufficiency(None)
    return word


def _tell(
    ctx: Context, state: State, solution: Solution, word: Sufficiency, accepted: bool, settings: Settings
) -> None:
    last = state["turn"] >= settings.max_turns
    decision = "accept" if accepted else "search" if not last else "end" if settings.self_practice else "rejected"
    if not settings.self_practice:
        verdict = None if word.sufficient is None and word.probability is None else accepted
        ctx.record("verdict", call_id=word.call_id, of=solution.call_id, accepts=verdict, first_wrong=None)
        ctx.emit("verdict", role="sufficiency-critic", accepts=verdict)
    ctx.gate(
        "sufficiency",
        decision,
        turn=state["turn"],
        max_turns=settings.max_turns,
        of=solution.call_id,
        answer=solution.answer,
        abstained=abstains(solution.answer),
        sufficient=word.sufficient,
        probability=word.probability,
        threshold=settings.threshold,
    )


def _came_to(solution: Solution, word: Sufficiency) -> str:
    """What the query writer is told of a turn."""
    if solution.answer is None:
        return "no answer could be read"
    if abstains(solution.answer):
        return "the answer was that it isn't known"
    return f"the answer was {solution.answer[:200]!r}{', which was not covered' if word.sufficient is False else ''}"
