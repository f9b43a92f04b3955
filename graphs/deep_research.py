"""Search, have pages read side by side, hold the claims against a second source, and answer with citations.

DeepResearcher (Zheng et al. 2025, arXiv 2504.03160): a loop over a search tool and `browse`, behind which one reader a
page goes through it screen by screen, takes out what is new and stops where it isn't worth going on. Only pages of the
latest search are read; another one is refused with a sentence, where the released code drops it without a word. Beyond
the paper, claims are checked against the other pages that were read, and citations that lead nowhere are taken out.
With `context=memory` the prompt stays as long as it is, since the model carries a memory that it writes anew in every
turn (MEM1, Zhou et al. 2025, arXiv 2506.15841).
"""

from dataclasses import replace
from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.context_policy import RULES, Memory, carried, rewritten
from maieutic.agents.pages import READ, SEARCH, addresses
from maieutic.agents.reader import Reader, Reading
from maieutic.agents.registry import make_agent
from maieutic.agents.researcher import Researcher
from maieutic.agents.speech import use_all
from maieutic.agents.validator import Validator
from maieutic.context import Context, Utterance
from maieutic.graphs.cross_check import CrossCheck, written
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.graphs.reading import BROWSE, Library, browse
from maieutic.trace.record import Parent
from maieutic.types import Message, Sampling

NEEDS = ("|".join(SEARCH), "|".join(READ))
STEPS = 100


class Settings(GraphSettings):
    max_turns: int = Field(default=10, ge=1, le=40)
    """Turns of the researcher at most; in the last one it has to answer."""
    context: Literal["full", "memory"] = "full"
    """What a turn is shown: all that was said and found, or one memory that is written anew in every turn."""
    pages_at_once: int = Field(default=5, ge=1, le=20)
    """Pages that are read at most for one call of `browse`."""
    screens: int = Field(default=8, ge=1, le=64)
    """Screens of one page at most."""
    cross_check: bool = True
    """Hold each claim against the pages that were read and are not cited for it."""
    rechecks: int = Field(default=1, ge=0, le=4)
    """How often the researcher is sent back because a page contradicts a claim."""
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature of the researcher; None leaves it to the run."""
    researcher: str = "researcher"
    reader: str = "reader"
    validator: str = "validator"
    """Agents by name or `package.module:name`."""


class State(TypedDict, total=False):
    turn: int
    said: str
    acting: bool
    allowed: list[str]
    pages: list[str]
    memory: str
    rechecks: int


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    researcher: Researcher = make_agent(settings.researcher, Sampling(temperature=settings.temperature))
    reader: Reader = make_agent(settings.reader)
    validator: Validator = make_agent(settings.validator)
    in_memory = settings.context == "memory"

    def opening(ctx: Context) -> tuple[Message, ...]:
        return researcher.opening(ctx, RULES if in_memory else "")

    async def think(state: State, ctx: Context) -> dict[str, Any]:
        turn = state.get("turn", 0) + 1
        last = turn >= settings.max_turns
        before = ctx.recall(state["said"], Utterance) if "said" in state else None
        messages = opening(ctx) if before is None else before.messages
        parents = () if before is None else (Parent(before.call_id, "continuation"),)
        tools = (*(one for one in ctx.tools if one.name not in READ), browse)
        said = await researcher(ctx, messages, tools, last, parents)
        acting = bool(said.completion.tool_calls) and not last
        if not acting:
            ctx.propose(written(ctx, said, _readings(ctx, state)).proposal)
        return {"turn": turn, "said": ctx.keep(said), "acting": acting}

    async def act(state: State, ctx: Context) -> dict[str, Any]:
        said = ctx.recall(state["said"], Utterance)
        allowed = state.get("allowed", [])
        library = Library(ctx, said.call_id, state["turn"], reader, settings, allowed, _readings(ctx, state))
        results, found = await _acted(ctx, said, library)
        left = settings.max_turns - state["turn"]
        update: dict[str, Any] = {"allowed": found or allowed}
        if in_memory:
            old = ctx.recall(state["memory"], Memory) if "memory" in state else Memory(said.call_id, "")
            memory = await rewritten(ctx, researcher.role, said, old, researcher.sampling)
            messages = carried(opening(ctx), said, memory, results, left)
            update["memory"] = ctx.keep(memory)
        else:
            messages = (*said.messages, *results)
        said_on = ctx.keep(replace(said, messages=messages))
        return {**update, "said": said_on, "pages": [ctx.keep(reading) for reading in library.readings]}

    async def check(state: State, ctx: Context) -> dict[str, Any]:
        said = ctx.recall(state["said"], Utterance)
        answer = written(ctx, said, _readings(ctx, state))
        answer.tell(ctx)
        report = await CrossCheck(validator, settings.cross_check)(ctx, answer)
        rechecks = state.get("rechecks", 0)
        if report.contradicted and rechecks < settings.rechecks and state["turn"] < settings.max_turns:
            asked: Message = {"role": "user", "content": report.question()}
            messages = (*said.messages, asked)
            return {"rechecks": rechecks + 1, "acting": True, "said": ctx.keep(replace(said, messages=messages))}
        ctx.propose(answer.with_sources(report))
        return {"acting": False}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "think", think)
    add_node(graph, "act", act)
    add_node(graph, "check", check)
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", lambda state: "act" if state["acting"] else "check", ["act", "check"])
    graph.add_edge("act", "think")
    graph.add_conditional_edges("check", lambda state: "think" if state["acting"] else END, ["think", END])
    return graph


def _readings(ctx: Context, state: State) -> list[Reading]:
    return [ctx.recall(key, Reading) for key in state.get("pages", [])]


async def _acted(ctx: Context, said: Utterance, library: Library) -> tuple[list[Message], list[str]]:
    """The results of the tool calls in their order, and the addresses that this turn's searches found.

    Other tools run side by side; then pages are read, of those that were found before this turn.
    """
    calls = said.completion.tool_calls
    others = await use_all(ctx, [call for call in calls if call.name != BROWSE], said.call_id)
    found = [address for result in others if result.name in SEARCH for address in addresses(result)]
    in_order = iter(others)
    results: list[Message] = []
    for call in calls:
        result = await library.browse(call) if call.name == BROWSE else next(in_order)
        results.append({"role": "tool", "tool_call_id": call.id, "name": call.name, "content": result.content})
    return results, list(dict.fromkeys(found))
