"""Decide for each question whether and how hard to think: answer at once, think, use tools, or vote over samples.

Strategies chosen for each question, as Orca 2 teaches (Mitra et al. 2023, arXiv 2311.11045): by rules or by the model's
own word (When Thinking Fails, Li et al. 2025, arXiv 2505.11423), or by how they fared on the nearest questions that
were tried, the cheaper one where several do as well (what AutoThink, Tu et al. 2025, arXiv 2505.10832, and Adaptive
Deep Reasoning, Wang et al. 2025, arXiv 2505.20101, train a model to do). After `think`, what the question plainly
demands of the answer's form is checked by rule, and what is not kept is put right once. Where the model is not sure of
its answer (arXiv 2207.05221, 2504.06564), it may say that it does not know.

Deviations: the papers train the choice into a classifier or the model; here it is looked up, so that no training is
needed, and the gates and outcomes in the trace are what such a classifier would learn from.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.confidence import Confidence
from maieutic.agents.registry import make_agent
from maieutic.agents.solver import unaided
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.errors import ModelError, UserError
from maieutic.graphs import self_consistency
from maieutic.graphs.certainty import CertaintySettings, abstains_below, agreed, role_of
from maieutic.graphs.choosing import best, fared, inputs
from maieutic.graphs.graph import add_node
from maieutic.memory.outcomes import Outcomes
from maieutic.tasks.abstention import abstains
from maieutic.tasks.constraints import Constraint, constraints, response, violations
from maieutic.types import Sampling

Strategy = Literal["direct", "greedy", "think", "tool", "vote"]
ARMS: Mapping[str, dict[str, Any]] = {
    name: {"strategy": name} for name in ("direct", "greedy", "think", "tool", "vote")
}
_EASY = 20  # words of a question that is answered at once where nothing in it asks for more
_WORK = re.compile(
    r"\b(how (?:many|much|long|far|old)|why|prove|calculate|compute|count|derive|explain)\b", re.IGNORECASE
)


class Settings(CertaintySettings):
    strategy: Strategy | None = None
    """One strategy for every question; None decides for each."""
    mode: Literal["rule", "self", "outcomes"] = "rule"
    """Who decides: rules, the model itself (only whether to think), or how strategies fared on questions like it."""
    strategies: tuple[Strategy, ...] = ("direct", "greedy", "think", "tool", "vote")
    """Those that may be chosen by outcomes."""
    outcomes: str | None = None
    """The file of outcomes that `mode=outcomes` looks into (`maieutic plan` writes it)."""
    default: Strategy = "think"
    """What is done where nothing decides."""
    neighbours: int = Field(default=8, ge=1)
    threshold: float = Field(default=0.25, ge=0, le=1)
    """The nearest questions that count, and how like this one they must be."""
    least: int = Field(default=3, ge=1)
    """Judged trials that a strategy needs before it is chosen."""
    margin: float = Field(default=0.0, ge=0, le=1)
    """How much less often right a cheaper strategy may be and still be preferred."""
    samples: int = Field(default=8, ge=2, le=1024)
    """Samples of `vote`."""
    check: bool = True
    """Whether demands on the answer's form are checked after `think`, and repaired once."""
    responder: str = "responder"
    solver: str = "solver"
    selector: str = "selector"
    reviser: str = "reviser"
    rater: str = "rater"
    """Agents by name or `package.module:name`."""


class State(TypedDict, total=False):
    strategy: str
    solution: str
    abstained: bool


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    if settings.mode == "outcomes" and settings.strategy is None and settings.outcomes is None:
        raise UserError("Outcomes of what? Name their file with --set outcomes=FILE; maieutic plan writes one.")
    store = Outcomes(settings.outcomes) if settings.outcomes else None
    strategies = _Strategies(settings)
    reviser, selector = make_agent(settings.reviser), make_agent(settings.selector)

    async def decide(state: State, ctx: Context) -> dict[str, Any]:
        if settings.strategy is not None:
            ctx.gate("strategy", settings.strategy, mode="fixed")
            return {"strategy": settings.strategy}
        if settings.mode == "outcomes" and store is not None:
            return {"strategy": await _by_outcomes(ctx, store, settings)}
        if settings.mode == "self":
            return {"strategy": await _by_itself(ctx, selector, settings)}
        features = features_of(ctx)
        chosen = by_rule(features, settings.default)
        ctx.gate("strategy", chosen, mode="rule", **features)
        return {"strategy": chosen}

    async def answer(state: State, ctx: Context) -> dict[str, Any]:
        solution, sure = await strategies.follow(ctx, state["strategy"])
        if settings.abstain_below is not None and sure is None:
            sure = await strategies.sureness(ctx, solution)
        return {"solution": ctx.keep(solution), "abstained": abstains_below(ctx, sure, settings.abstain_below)}

    async def check(state: State, ctx: Context) -> dict[str, Any]:
        await _complied(ctx, reviser, ctx.recall(state["solution"], Solution))
        return {}

    def after(state: State) -> str:
        plain = state["strategy"] in ("direct", "vote") or state.get("abstained", False)
        return END if plain or not settings.check else "check"

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "decide", decide)
    add_node(graph, "answer", answer)
    add_node(graph, "check", check)
    graph.add_edge(START, "decide")
    graph.add_edge("decide", "answer")
    graph.add_conditional_edges("answer", after, ["check", END])
    graph.add_edge("check", END)
    return graph


class _Strategies:
    """The ways to answer."""

    def __init__(self, settings: Settings) -> None:
        self._vote = self_consistency.Settings(samples=settings.samples)
        self._responder = make_agent(settings.responder)
        self._tools, self._thinker = make_agent(settings.solver), unaided(make_agent(settings.solver))
        self._greedy = unaided(make_agent(settings.solver, Sampling(temperature=0.0)))
        self._sampled = unaided(make_agent(settings.solver, Sampling(temperature=self._vote.temperature)))
        self._rater, self._calibrator = make_agent(settings.rater), settings.calibrator()

    async def follow(self, ctx: Context, strategy: str) -> tuple[Solution, Confidence | None]:
        """Answer by `strategy`, and propose the answer; a vote's share is the confidence in it."""
        if strategy == "vote":
            tally = await self_consistency.poll(ctx, self._sampled, self._vote)
            best_ = ctx.run.best
            assert best_ is not None  # the poll has proposed what leads, or the first sample
            voted = agreed(ctx, role_of(self._sampled), tally, self._calibrator)
            return tally.winner or Solution(best_.text, best_.answer, best_.call_id or "vote"), voted
        if strategy == "tool" and not ctx.tools:
            raise UserError("The strategy tool needs a tool: give the run one, such as --tool python.")
        agents = {"direct": self._responder, "greedy": self._greedy, "think": self._thinker, "tool": self._tools}
        solution: Solution = await agents[strategy](ctx)
        ctx.propose(solution.proposal)
        return solution, None

    async def sureness(self, ctx: Context, solution: Solution) -> Confidence | None:
        """How sure the model is of a solution; None where there is no answer to be sure of, or it can't be asked."""
        if solution.answer is None or abstains(solution.answer):
            return None
        try:
            sure: Confidence = await self._rater(ctx, solution, self._calibrator, ())
        except ModelError as error:
            ctx.record("error", error=f"{type(error).__name__}: {error}")
            return None
        return sure


def features_of(ctx: Context) -> dict[str, Any]:
    """What the rules look at."""
    question = ctx.task["question"]
    return {
        "demands": [demand.kind for demand in constraints(question)],
        "numbers": len(re.findall(r"\d+", question)),
        "words": len(question.split()),
        "work": _WORK.search(question) is not None,
        "tools": bool(ctx.tools),
    }


def by_rule(features: Mapping[str, Any], default: Strategy) -> Strategy:
    """Demands on single words are best kept without a thought before them; what is counted, laid out or calculated
    needs one, or a tool; a short question without any of it is answered at once."""
    if "keyword" in features["demands"]:
        return "direct"
    if features["demands"]:
        return "think"
    if features["numbers"] >= 2:
        return "tool" if features["tools"] else "think"
    if features["words"] <= _EASY and not features["work"] and not features["numbers"]:
        return "direct"
    return default


async def _by_itself(ctx: Context, selector: Any, settings: Settings) -> str:
    """By the model's own word; the default where it can't be read, or the call failed."""
    think, call_id = None, None
    try:
        said = await selector(ctx)
        think, call_id = said.think, said.call_id
    except ModelError as error:
        ctx.record("error", error=f"{type(error).__name__}: {error}")
    chosen: str = settings.default if think is None else "think" if think else "direct"
    ctx.gate("strategy", chosen, mode="self", think=think, call_id=call_id, default=settings.default)
    return chosen


async def _by_outcomes(ctx: Context, store: Outcomes, settings: Settings) -> str:
    able = [name for name in settings.strategies if name != "tool" or ctx.tools]
    found = await fared(ctx, store, able, "solver", settings.neighbours, settings.threshold)
    chosen = best(found, settings.least, settings.margin)
    seen = inputs(found, least=settings.least, margin=settings.margin, threshold=settings.threshold)
    ctx.gate("strategy", chosen or settings.default, mode="outcomes", looked_up=chosen is not None, **seen)
    return chosen or settings.default


async def _complied(ctx: Context, reviser: Any, draft: Solution) -> None:
    """Check what the question demands of the form, and have it put right once; a revision must keep more of it."""
    demands: tuple[Constraint, ...] = constraints(ctx.task["question"])
    broken = violations(demands, draft.text)
    if not demands:
        return
    ctx.gate("demands", "repair" if broken else "kept", demands=[d.said for d in demands], broken=list(broken))
    if not broken:
        return
    revised = await reviser(ctx, draft, broken)
    left = violations(demands, revised.text)
    better = bool(response(revised.text)) and len(left) < len(broken)
    ctx.gate("revision", "taken" if better else "dropped", broken=list(left), before=list(broken), of=revised.call_id)
    if better:
        ctx.propose(revised.proposal)
