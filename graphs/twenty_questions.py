"""A guesser asks, a judge answers yes or no, until the guesser names what the judge is thinking of.

The game of the Entity-Deduction Arena (Zhang et al. 2023, arXiv 2310.01468), for tasks of `env:entity_deduction`:
twenty turns; the guesser hears all that was said, the judge only the entity and the question; whether a guess is
right is decided by rule. It is no graph for any question, so it goes by its path, and needs the oracle, since the
judge has to know: `--graph maieutic.graphs.twenty_questions --oracle`.

Deviations: what the judge says that is no yes, no or maybe is missing, and the guesser is told that no answer was to
be had; a turn is spent all the same.
"""

import re
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.registry import make_agent
from maieutic.context import Context, Proposal, Utterance
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.tasks.envs.entity_deduction import LOST, names
from maieutic.tasks.extraction import without_thoughts
from maieutic.trace.record import Parent
from maieutic.types import Sampling

STEPS = 220
MOST_SHOWN = 300  # characters of a question that the judge is shown
LAST = "This is your last turn: name what it is, and nothing else."
NO_ANSWER = "No answer to that was to be had."
_PHRASES = re.compile(r"\b(?:are )?you(?:'re| are)? (?:currently )?thinking of\b", re.IGNORECASE)


class Settings(GraphSettings):
    turns: int = Field(default=20, ge=1, le=100)
    """Questions at most, guesses included."""
    temperature: float | None = Field(default=0.8, ge=0)
    """Sampling temperature of the guesser; None leaves it to the run."""
    judge_temperature: float | None = Field(default=0.2, ge=0)
    """Sampling temperature of the judge; None leaves it to the run."""
    guesser: str = "guesser"
    judge: str = "entity-judge"
    """Agents by name or `package.module:name`."""


class State(TypedDict, total=False):
    turn: int
    asked: str
    heard: str
    won: bool


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    guesser = make_agent(settings.guesser, Sampling(temperature=settings.temperature))
    judge = make_agent(settings.judge, Sampling(temperature=settings.judge_temperature))

    async def ask(state: State, ctx: Context) -> dict[str, Any]:
        turn = state.get("turn", 0) + 1
        before = ctx.recall(state["asked"], Utterance) if "asked" in state else None
        said: Utterance = await guesser(ctx, settings.turns, before, state.get("heard", ""))
        won = names(str(ctx.gold), spoken(said.text))
        answer = f"{spoken(said.text) if won else LOST} ({turn} turns)"
        ctx.propose(Proposal(answer, f"{said.text}\n\nAnswer: {answer}", said.call_id))
        return {"turn": turn, "asked": ctx.keep(said), "won": won}

    async def reply(state: State, ctx: Context) -> dict[str, Any]:
        said = ctx.recall(state["asked"], Utterance)
        asked = spoken(said.text)[:MOST_SHOWN]
        heard = await judge(ctx, str(ctx.gold), asked, (Parent(said.call_id, "judge"),))
        ctx.record("label", of=said.call_id, name="heard", value=heard.value, source="judge")
        answer = f"{heard.value}." if heard.value else NO_ANSWER
        return {"heard": f"{answer} {LAST}" if state["turn"] == settings.turns - 1 else answer}

    def after(state: State) -> str:
        return END if state["won"] or state["turn"] >= settings.turns else "reply"

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "ask", ask)
    add_node(graph, "reply", reply)
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", after, ["reply", END])
    graph.add_edge("reply", "ask")
    return graph


def spoken(text: str) -> str:
    """What the guesser says aloud: without thoughts, in the words that the judge is asked in."""
    return " ".join(_PHRASES.sub("is it", without_thoughts(text)).split())
