"""Several peers think at once, now and then sum up and read what others found, and think on; then a vote.

Learning from Peers (LeaP): Luo et al. 2025, arXiv 2505.07787. In its true form a thought is interrupted and goes on
token by token (`form=continuation`); for models that don't allow it, each turn is a call of its own that begins from
summaries (`form=chat`), which is nearer to a debate. Paths that have closed their thought leave the exchange: they
neither send nor receive, so that nobody follows a finished answer.

Deviations: summaries are compared by the paper's measure (1 - Levenshtein distance / the longer length), not by that of
the released code; a peer is never listed twice, and a summary that says nothing is not sent.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.peer import CUT, Peer, PeerPath, Summary, attempt_of
from maieutic.agents.peer_thought import PeerThought
from maieutic.agents.registry import make_agent
from maieutic.agents.summariser import Summariser
from maieutic.agents.thinker import Form, Wanted, form_for
from maieutic.context import Context
from maieutic.errors import ModelError, UserError
from maieutic.graphs.fanout import fan_out
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.graphs.routing import Routing, route, similarities
from maieutic.graphs.votes import Tally
from maieutic.types import Sampling

ROLE = "peer"


class Settings(GraphSettings):
    paths: int = Field(default=4, ge=2, le=64)
    """Paths that are thought at the same time."""
    turns: int = Field(default=5, ge=1, le=16)
    """Turns at most; between two of them the paths exchange what they found."""
    tokens: int = Field(default=2048, ge=1)
    """Tokens that a path thinks for in a turn."""
    summary_tokens: int = Field(default=256, ge=1)
    """Tokens of a summary at most."""
    answer_tokens: int = Field(default=256, ge=1)
    """Tokens in which a path that was interrupted to the end has to answer (`form=continuation`)."""
    peers: int = Field(default=2, ge=0, le=16)
    """Peers whose summaries a path reads; with 0 it sums up and reads nothing, which tells what reading is worth."""
    routing: Routing = "dispersed"
    """Which peers: the least like its own summary (`dispersed`), the most alike (`clustered`), or half of each."""
    form: Wanted = "auto"
    """How the paths are interrupted: in mid-thought, or by calls of their own; `auto` takes what the model allows."""
    temperature: float = Field(default=0.6, gt=0)
    """Sampling temperature; at 0 all paths would be the same."""
    peer: str = "peer"
    summariser: str = "summariser"
    """Agents of the chat form, by name or `package.module:name`."""


class State(TypedDict, total=False):
    form: Form
    turn: int
    paths: dict[str, str]
    mail: dict[str, list[str]]
    done: bool


class Way(Protocol):
    """How a path begins, goes on, sums itself up, and ends."""

    async def think(self, ctx: Context, name: str, path: PeerPath | None, comments: Sequence[Summary]) -> PeerPath: ...

    async def summarise(self, ctx: Context, path: PeerPath) -> PeerPath: ...

    async def finish(self, ctx: Context, path: PeerPath) -> PeerPath: ...


class InTurns:
    """The chat form: a path's turn is a call of its own, and another one sums it up."""

    def __init__(self, settings: Settings) -> None:
        sampling = Sampling(temperature=settings.temperature)
        self._peer: Peer = make_agent(settings.peer, sampling)
        self._summariser: Summariser = make_agent(settings.summariser, sampling)
        self._tokens, self._summary_tokens = settings.tokens, settings.summary_tokens

    async def think(self, ctx: Context, name: str, path: PeerPath | None, comments: Sequence[Summary]) -> PeerPath:
        path = PeerPath(name, await self._peer(ctx, path, comments, most=self._tokens), ended=True)
        done = path.said.completion.finish_reason not in CUT and path.solution(ctx).answer is not None
        return replace(path, over=done, ended=done)

    async def summarise(self, ctx: Context, path: PeerPath) -> PeerPath:
        said = await self._summariser(ctx, attempt_of(path), path.call_id, self._summary_tokens)
        text = said.text.strip()
        return replace(path, summary=Summary(text, path.name, said.call_id) if text else None, interrupted=True)

    async def finish(self, ctx: Context, path: PeerPath) -> PeerPath:
        said = await self._peer(ctx, path, (), last=True, most=self._tokens)
        return PeerPath(path.name, said, over=True, ended=True)


class Rounds:
    """The nodes of the graph: paths think, sum up and exchange, until all have ended or the turns are used up."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = [f"path-{i}" for i in range(1, settings.paths + 1)]
        self._in_turns = InTurns(settings)
        self._in_thought = PeerThought(
            ROLE,
            Sampling(temperature=settings.temperature),
            settings.tokens,
            settings.summary_tokens,
            settings.answer_tokens,
        )

    def _way(self, state: State) -> Way:
        return self._in_thought if state["form"] == "continuation" else self._in_turns

    async def choose(self, state: State, ctx: Context) -> dict[str, Any]:
        form = form_for(ctx, self._settings.form, [ROLE])
        if form == "continuation" and not ctx.goes_on_exactly(ROLE):
            raise UserError("form=continuation needs a model whose tokens are at hand: take vllm/…, or form=chat.")
        return {"form": form}

    async def think(self, state: State, ctx: Context) -> dict[str, Any]:
        way, paths, mail = self._way(state), _paths(state, ctx), state.get("mail", {})

        async def work(branch: Context, name: str) -> PeerPath:
            comments = [ctx.recall(key, Summary) for key in mail.get(name, ())]
            return await way.think(branch, name, paths.get(name), comments)

        going_on = [name for name in self._names if name not in paths or not paths[name].ended]
        paths = _ordered(paths | await _each(ctx, going_on, work, paths))
        _take_stock(ctx, self._settings.paths, paths)
        done = len(paths) == len(self._names) and all(path.ended for path in paths.values())
        return {"turn": state.get("turn", 0) + 1, "paths": _kept(ctx, paths), "mail": {}, "done": done}

    async def summarise(self, state: State, ctx: Context) -> dict[str, Any]:
        way, paths = self._way(state), _paths(state, ctx)

        async def work(branch: Context, name: str) -> PeerPath:
            return await way.summarise(branch, paths[name])

        asked = [name for name in _pool(paths) if not paths[name].interrupted]
        done = await _each(ctx, asked, work, paths)
        for path in done.values():
            _tell(ctx, path, state["turn"])
        silent = {name: replace(paths[name], summary=None) for name in asked if name not in done}
        return {"paths": _kept(ctx, paths | silent | done)}

    async def exchange(self, state: State, ctx: Context) -> dict[str, Any]:
        paths = _paths(state, ctx)
        there = [name for name in _pool(paths) if paths[name].interrupted]
        sent = {name: summary for name in there if (summary := paths[name].summary) is not None}
        alike = similarities({name: summary.text for name, summary in sent.items()})
        reads = {
            name: route(
                alike, name, [other for other in sent if other != name], self._settings.peers, self._settings.routing
            )
            for name in there
        }
        known = {"/".join(sorted(pair)): round(value, 4) for pair, value in alike.items()}
        if there:
            ctx.gate("route", self._settings.routing, turn=state["turn"], reads=reads, similarity=known)
        return {"mail": {name: [ctx.keep(sent[other]) for other in others] for name, others in reads.items()}}

    async def finish(self, state: State, ctx: Context) -> dict[str, Any]:
        way, paths = self._way(state), _paths(state, ctx)

        async def work(branch: Context, name: str) -> PeerPath:
            return await way.finish(branch, paths[name])

        paths |= await _each(ctx, [name for name, path in paths.items() if not path.ended], work, paths)
        tally = _take_stock(ctx, self._settings.paths, paths)
        ctx.record("vote", votes=tally.counts(), abstained=tally.abstained, samples=len(paths), of=self._settings.paths)
        return {"paths": _kept(ctx, paths)}

    def after(self, state: State) -> str:
        return "finish" if state["turn"] >= self._settings.turns or state["done"] else "summarise"


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    rounds = Rounds(settings)
    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "choose", rounds.choose)
    add_node(graph, "think", rounds.think)
    add_node(graph, "summarise", rounds.summarise)
    add_node(graph, "exchange", rounds.exchange)
    add_node(graph, "finish", rounds.finish)
    graph.add_edge(START, "choose")
    graph.add_edge("choose", "think")
    graph.add_conditional_edges("think", rounds.after, ["summarise", "finish"])
    graph.add_edge("summarise", "exchange")
    graph.add_edge("exchange", "think")
    graph.add_edge("finish", END)
    return graph


def _paths(state: State, ctx: Context) -> dict[str, PeerPath]:
    """The paths that have begun, in their order."""
    return {name: ctx.recall(key, PeerPath) for name, key in state.get("paths", {}).items()}


def _kept(ctx: Context, paths: dict[str, PeerPath]) -> dict[str, str]:
    return {name: ctx.keep(path) for name, path in paths.items()}


def _ordered(paths: dict[str, PeerPath]) -> dict[str, PeerPath]:
    """By their numbers, which is the order of a vote, whichever began first."""
    return dict(sorted(paths.items(), key=lambda item: int(item[0].removeprefix("path-"))))


def _pool(paths: dict[str, PeerPath]) -> list[str]:
    """Who still takes part in the exchange."""
    return [name for name, path in paths.items() if not path.over]


async def _each(
    ctx: Context, names: list[str], work: Callable[[Context, str], Awaitable[PeerPath]], begun: dict[str, PeerPath]
) -> dict[str, PeerPath]:
    """Do the work for each name in its branch; who fails is left out, and keeps the path that has begun."""

    async def one(branch: Context) -> PeerPath:
        return await work(branch, branch.branch.path.rsplit("/", 1)[-1])

    if not names:
        return {}
    try:
        return {path.name: path for path in await fan_out(ctx, names, one)}
    except ModelError as error:
        if not begun:
            raise
        ctx.mark_partial(str(error))
        return {}


def _tell(ctx: Context, path: PeerPath, turn: int) -> None:
    """A path's summary, live and in the trace; null where it said nothing."""
    text = path.summary.text if path.summary else None
    call = path.summary.call_id if path.summary else path.call_id
    ctx.record("note", call_id=call, path=path.name, turn=turn, summary=text)
    ctx.emit("note", text=f"{path.name}: {text or 'no summary'}")


def _take_stock(ctx: Context, of: int, paths: dict[str, PeerPath]) -> Tally:
    """Count what the paths that have ended answer, and propose the leading answer."""
    solutions = [path.solution(ctx) for path in paths.values()]
    tally = Tally.of(solutions, ctx.task["answer_type"])
    ctx.propose((tally.winner or solutions[0]).proposal)
    ctx.emit("vote", votes=tally.counts(), samples=len(solutions), of=of)
    return tally
