"""Think to a budget, be told to look for mistakes, think on to twice that budget, and so on.

Iterative deepening sampling (Chen et al. 2025, arXiv 2502.05449): a sentence that makes the model correct itself is put
into its thought at `first` tokens, at `first` times `growth`, and so on: often early on, seldom later. A thought that
has ended by itself gets the sentence behind its answer, until it has had `least` of them. Of several `samples` the
answer that most agree on wins.

Deviations: the paper's `first` and `growth` are not known to us, and its best of n by a reward model is left out. Where
a model can't go on within its turn, the sentence is a message of the user (the form `chat`), which is weaker.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.speech import Solution
from maieutic.agents.thinker import Draft, Form, Thinker, Wanted, form_for
from maieutic.context import Context
from maieutic.errors import ModelError
from maieutic.graphs.fanout import fan_out
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.graphs.votes import Tally
from maieutic.types import Sampling

TRIGGER = "\n\nWait. There may be a mistake in this. Let me go back over it and check each step before I trust it.\n\n"


class Settings(GraphSettings):
    first: int = Field(default=1024, ge=1)
    """Tokens of a thought at which it is told to look for mistakes for the first time."""
    growth: float = Field(default=2.0, ge=1.1, le=16)
    """By what the budget grows each time."""
    limit: int = Field(default=16384, ge=1)
    """Tokens of a thought at most; the run's own `max_tokens` can lower it."""
    least: int = Field(default=1, ge=0, le=16)
    """Triggers at least: a thought that ends before that gets one behind its answer."""
    samples: int = Field(default=1, ge=1, le=256)
    """Thoughts, side by side; the answer that most of them agree on wins."""
    trigger: str = Field(default=TRIGGER, min_length=1)
    """The sentence that is put in."""
    form: Wanted = "auto"
    """`continuation`: it is put into the thought itself; `chat`: it is a message of the user; `auto` takes the first
    where the model's tokens are at hand."""
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature; None leaves it to the run."""
    role: str = "solver"
    """Who thinks: the name of its prompt, and of its model where it has one of its own."""


class State(TypedDict, total=False):
    votes: dict[str, int]
    winner: str | None


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    thinker = Thinker(settings.role, Sampling(temperature=settings.temperature))

    async def think(state: State, ctx: Context) -> dict[str, Any]:
        form = form_for(ctx, settings.form, [settings.role])
        names = [f"sample-{i}" for i in range(1, settings.samples + 1)]
        solutions = await fan_out(ctx, names, _deepening(thinker, form, settings))
        tally = Tally.of(solutions, ctx.task["answer_type"])
        ctx.propose((tally.winner or solutions[0]).proposal)
        ctx.record("vote", votes=tally.counts(), abstained=tally.abstained, samples=len(solutions), of=settings.samples)
        return {"votes": tally.counts(), "winner": tally.winner.call_id if tally.winner else None}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "think", think)
    graph.add_edge(START, "think")
    graph.add_edge("think", END)
    return graph


def _deepening(thinker: Thinker, form: Form, settings: Settings) -> Callable[[Context], Awaitable[Solution]]:
    async def deepen(ctx: Context) -> Solution:
        limit = min(settings.limit, ctx.run.sampling.max_tokens or settings.limit)
        budget, triggers = float(settings.first), 0
        draft = await thinker.begin(ctx, form, _piece(budget, limit, 0))
        while True:
            _propose(ctx, draft, settings.samples == 1)
            enough = triggers >= settings.least and (draft.answer is not None or budget >= limit)
            why = _why_end(draft, limit, enough, form == "continuation" or _converses(ctx, settings.role))
            ctx.gate(
                "deepening",
                why or "trigger",
                tokens=draft.tokens,
                budget=round(budget),
                triggers=triggers,
                ended=draft.ended,
                answer=draft.answer,
                call_id=draft.call_id,
            )
            if why:
                return draft.solution
            triggers += 1
            budget = _grown(budget, draft.tokens, settings.growth)
            try:
                draft = await thinker.go_on(ctx, draft, settings.trigger, form, _piece(budget, limit, draft.tokens))
            except ModelError as error:
                if draft.answer is None:
                    raise
                ctx.record("error", error=f"{type(error).__name__}: {error}")
                return draft.solution

    return deepen


def _piece(budget: float, limit: int, tokens: int) -> int:
    """How many tokens the next piece may have."""
    return max(1, min(round(budget), limit) - tokens)


def _grown(budget: float, tokens: int, growth: float) -> float:
    """The next budget, which leaves room for more than what was said."""
    budget *= growth
    while round(budget) <= tokens:
        budget *= growth
    return budget


def _why_end(draft: Draft, limit: int, enough: bool, able: bool) -> str | None:
    """Why a thought goes no further; None where it is told to look for mistakes."""
    if draft.ended and enough:
        return "ended"
    if draft.tokens >= limit:
        return "limit"
    return None if able else "no conversation"


def _converses(ctx: Context, role: str) -> bool:
    return ctx.model_for(role).profile.conversation


def _propose(ctx: Context, draft: Draft, alone: bool) -> None:
    """The answer so far, for a run that is cut short: of several thoughts, that of the first to have one."""
    if draft.answer is not None and (alone or ctx.run.best is None):
        ctx.propose(draft.solution.proposal)
