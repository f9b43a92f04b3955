"""Several solvers answer; only where they disagree do they debate, and a judge breaks what stays a tie.

Multi-agent debate (Du et al. 2023, arXiv 2305.14325), opened by disagreement alone: unanimous answers are frozen at
once, because debate was seen to help on hard questions and to harm on easy ones. A debater whose new answer can't be
read, or whose call failed, keeps its old solution. The judge sees sanitised candidates, on request in both orders and
with a second look (graphs/judging.py); where it makes no choice that counts, the answer that got there first stays.
"""

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.debater import Debater
from maieutic.agents.registry import make_agent
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.graphs.fanout import fan_out
from maieutic.graphs.graph import add_node
from maieutic.graphs.judging import JudgeSettings
from maieutic.graphs.votes import Tally
from maieutic.types import Sampling

STEPS = 64


class Settings(JudgeSettings):
    debaters: int = Field(default=3, ge=2, le=16)
    """Solvers that answer, and debate if they disagree."""
    rounds: int = Field(default=2, ge=1, le=16)
    """Rounds of debate at most."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature; at 0 the first answers would all be the same."""
    solver: str = "solver"
    debater: str = "debater"
    judge: str | None = "judge"
    """Agents by name or `package.module:name`. The judge is asked when the leading answers are still tied after the
    last round; None leaves it at the answer that got there first."""


class State(TypedDict, total=False):
    positions: list[str]
    round: int
    agreed: bool
    tied: bool


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    sampling = Sampling(temperature=settings.temperature)
    solver, debater = make_agent(settings.solver, sampling), make_agent(settings.debater, sampling)
    judge = settings.debiased(make_agent(settings.judge)) if settings.judge else None

    async def open_(state: State, ctx: Context) -> dict[str, Any]:
        names = [f"debater-{i}" for i in range(1, settings.debaters + 1)]
        return {"round": 0, **_take_stock(ctx, await fan_out(ctx, names, solver))}

    async def debate(state: State, ctx: Context) -> dict[str, Any]:
        positions = [ctx.recall(key, Solution) for key in state["positions"]]
        replies = await _exchange(ctx, debater, positions, state["round"] + 1)
        return {"round": state["round"] + 1, **_take_stock(ctx, replies)}

    async def decide(state: State, ctx: Context) -> dict[str, Any]:
        positions = [ctx.recall(key, Solution) for key in state["positions"]]
        groups = Tally.of(positions, ctx.task["answer_type"]).groups
        tied = [group[0] for group in groups if len(group) == len(groups[0])]
        chosen = await judge(ctx, tied) if judge else None
        if chosen is not None:
            ctx.propose(chosen.proposal)
        return {}

    def after(state: State) -> str:
        if state["agreed"]:
            return END
        if state["round"] < settings.rounds:
            return "debate"
        return "decide" if judge and state["tied"] else END

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "open", open_)
    add_node(graph, "debate", debate)
    add_node(graph, "decide", decide)
    graph.add_edge(START, "open")
    graph.add_conditional_edges("open", after, ["debate", END])
    graph.add_conditional_edges("debate", after, ["debate", "decide", END])
    graph.add_edge("decide", END)
    return graph


async def _exchange(ctx: Context, debater: Debater, positions: list[Solution], round_: int) -> list[Solution]:
    """Every debater answers again with all others' positions before it; who fails keeps the old position."""
    replies = {f"round-{round_}-debater-{i}": i - 1 for i in range(1, len(positions) + 1)}
    after = list(positions)

    async def answer(branch: Context) -> None:
        i = replies[branch.branch.path.rsplit("/", 1)[-1]]
        others = [p for j, p in enumerate(positions) if j != i]
        reply = await debater(branch, positions[i], others)
        if reply.answer is not None:
            after[i] = reply

    await fan_out(ctx, list(replies), answer)
    return after


def _take_stock(ctx: Context, positions: list[Solution]) -> dict[str, Any]:
    """Count the positions and propose the leading answer."""
    tally = Tally.of(positions, ctx.task["answer_type"])
    ctx.propose((tally.winner or positions[0]).proposal)
    ctx.emit("vote", votes=tally.counts(), samples=len(positions), of=len(positions))
    ctx.record("vote", votes=tally.counts(), abstained=tally.abstained, samples=len(positions), of=len(positions))
    sizes = [len(group) for group in tally.groups]
    return {
        "positions": [ctx.keep(p) for p in positions],
        "agreed": tally.unanimous,
        "tied": len(sizes) > 1 and sizes[0] == sizes[1],
    }
