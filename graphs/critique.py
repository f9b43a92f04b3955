"""Solve, let critics name the first wrong step, repair, and keep the best.

Step-level critique in the manner of AutoMathCritique (Xi et al. 2024, arXiv 2411.16579): the critic speaks of steps,
the refiner rewrites, in one chain or in several side by side whose last answers vote. Unlike there, nothing is
rewritten that the critics accept unless `refine=all` asks for it, and a critique without a readable verdict changes
nothing: refining everything was measured to do harm (docs/graphs/README.md). The refiner is asked anew and not as the
next turn of the solver's conversation. `refine=oracle` is the paper's upper bound: it rewrites what is known to be
wrong, and marks the run.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, TypedDict, TypeVar

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.critic import Critique
from maieutic.agents.registry import make_agent
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.errors import ModelError
from maieutic.graphs.fanout import fan_out
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.graphs.votes import Tally
from maieutic.types import Outcome, Sampling

T = TypeVar("T")
STEPS = 64


class Settings(GraphSettings):
    rounds: int = Field(default=2, ge=1, le=16)
    """Critiques of a draft at most; each one that finds a wrong step is followed by a repair."""
    chains: int = Field(default=1, ge=1, le=64)
    """Drafts side by side, each critiqued and repaired on its own; their last answers vote."""
    critics: int = Field(default=1, ge=1, le=16)
    """Critics of each draft side by side; it is repaired where more of them find a wrong step than don't."""
    refine: Literal["rejected", "all", "oracle"] = "rejected"
    """What is repaired: what the critics reject, everything, or what is known to be wrong (needs an oracle)."""
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature of the solver and the refiner; None leaves it to the run."""
    solver: str = "solver"
    critic: str = "critic"
    refiner: str = "refiner"
    """Agents by name or `package.module:name`; `step-critic` has a verdict for each step."""


class State(TypedDict, total=False):
    drafts: list[str]
    critiques: dict[str, str]
    round: int


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    sampling = Sampling(temperature=settings.temperature)
    solver, critic = make_agent(settings.solver, sampling), make_agent(settings.critic)
    refiner = make_agent(settings.refiner, sampling)

    async def solve(state: State, ctx: Context) -> dict[str, Any]:
        if settings.chains == 1:
            drafts = [await solver(ctx)]
        else:
            drafts = await fan_out(ctx, [_chain(i) for i in range(settings.chains)], solver)
        _take_stock(ctx, drafts)
        return {
            "drafts": [ctx.keep(d) for d in drafts],
            "critiques": {str(i): "" for i in range(len(drafts))},
            "round": 0,
        }

    async def criticise(state: State, ctx: Context) -> dict[str, Any]:
        drafts, round_ = _drafts(state, ctx), state["round"] + 1

        async def review(chain: Context, i: int) -> Critique | None:
            if settings.refine == "oracle" and await chain.verdict_of(drafts[i].proposal) is Outcome.CORRECT:
                return None
            return await _reviewed(chain, critic, drafts[i], settings, round_)

        found = await _each(ctx, state["critiques"], len(drafts), review)
        return {"critiques": {i: ctx.keep(one) for i, one in found.items() if one is not None}, "round": round_}

    async def repair(state: State, ctx: Context) -> dict[str, Any]:
        drafts = _drafts(state, ctx)

        async def repaired(chain: Context, i: int) -> Solution:
            critique = ctx.recall(state["critiques"][str(i)], Critique)
            made: Solution = await refiner(chain, drafts[i], critique)
            chain.gate("repair", "dropped" if made.answer is None else "taken", of=drafts[i].call_id, by=made.call_id)
            return made

        found = await _each(ctx, state["critiques"], len(drafts), repaired)
        taken = {i: one for i, one in found.items() if one.answer is not None}
        drafts = [taken.get(str(i), draft) for i, draft in enumerate(drafts)]
        if taken:
            _take_stock(ctx, drafts)
        return {"drafts": [ctx.keep(d) for d in drafts], "critiques": {i: state["critiques"][i] for i in taken}}

    def after_critique(state: State) -> str:
        return "repair" if state["critiques"] else END

    def after_repair(state: State) -> str:
        return "criticise" if state["critiques"] and state["round"] < settings.rounds else END

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "solve", solve)
    add_node(graph, "criticise", criticise)
    add_node(graph, "repair", repair)
    graph.add_edge(START, "solve")
    graph.add_edge("solve", "criticise")
    graph.add_conditional_edges("criticise", after_critique, ["repair", END])
    graph.add_conditional_edges("repair", after_repair, ["criticise", END])
    return graph


async def _each(
    ctx: Context, going: dict[str, str], chains: int, work: Callable[[Context, int], Awaitable[T]]
) -> dict[str, T]:
    """`work` for each chain that is `going`, side by side; a chain that fails has no result and stays as it is."""
    if chains == 1:
        return {"0": await work(ctx, 0)}
    made: dict[str, T] = {}
    places = {_chain(int(i)): i for i in going}

    async def one(chain: Context) -> None:
        i = places[chain.branch.path.rsplit("/", 1)[-1]]
        made[i] = await work(chain, int(i))

    try:
        await fan_out(ctx, list(places), one)
    except ModelError:
        pass  # all have failed; each is recorded, and there are answers to vote on
    return {i: made[i] for i in going if i in made}


async def _reviewed(ctx: Context, critic: Any, draft: Solution, settings: Settings, round_: int) -> Critique | None:
    """The critique by which `draft` is to be repaired; None where it is left as it is."""
    if settings.critics == 1:
        critiques = [await critic(ctx, draft)]
    else:
        names = [f"critic-{i}" for i in range(1, settings.critics + 1)]
        critiques = await fan_out(ctx, names, lambda branch: critic(branch, draft))
    votes = [critique.accepts for critique in critiques]
    against = chosen_of(critiques)
    chosen: Critique | None = against or critiques[0]
    if settings.refine == "rejected" and _word(votes) != "wrong":
        chosen = None
    ctx.gate(
        "critique",
        _word(votes),
        round=round_,
        of=draft.call_id,
        votes=votes,
        first_wrong=[critique.first_wrong for critique in critiques],
        followed=chosen.call_id if chosen else None,
        refine=settings.refine,
    )
    return chosen


def chosen_of(critiques: Sequence[Critique]) -> Critique | None:
    """Of those that find a wrong step, the first that names the step that most of them name; None where none does."""
    against = [critique for critique in critiques if critique.accepts is False]
    if not against:
        return None
    most = Counter(critique.first_wrong for critique in against).most_common(1)[0][0]
    return next(critique for critique in against if critique.first_wrong == most)


def _word(votes: Sequence[bool | None]) -> str:
    """What the critics find: those without a readable verdict say nothing for either side."""
    for_, against = votes.count(True), votes.count(False)
    if not for_ + against:
        return "missing"
    return "wrong" if against > for_ else "right" if for_ > against else "tie"


def _take_stock(ctx: Context, drafts: list[Solution]) -> None:
    """Propose the draft, or what most drafts answer."""
    if len(drafts) == 1:
        ctx.propose(drafts[0].proposal)
        return
    tally = Tally.of(drafts, ctx.task["answer_type"])
    ctx.propose((tally.winner or drafts[0]).proposal)
    ctx.emit("vote", votes=tally.counts(), samples=len(drafts), of=len(drafts))
    ctx.record("vote", votes=tally.counts(), abstained=tally.abstained, samples=len(drafts), of=len(drafts))


def _drafts(state: State, ctx: Context) -> list[Solution]:
    return [ctx.recall(key, Solution) for key in state["drafts"]]


def _chain(i: int) -> str:
    return f"chain-{i + 1}"
