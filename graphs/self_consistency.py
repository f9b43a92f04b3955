"""Sample several solutions and return the answer most of them agree on, stopping as soon as the vote is settled.

Self-consistency (Wang et al. 2023, arXiv 2203.11171). Answers are compared by type. In waves, only as many samples are
started as could settle the vote; the winner is the one that all samples in the same order would have chosen.

On request votes weigh as much as the model is sure of them (Taubenfeld et al. 2025, arXiv 2502.06233; there, weights
pass through a softmax whose temperature is tuned on a held-out set: here they are shares, calibrated where there is a
calibration). The share of the votes is the confidence in the winner, and where it is too small the graph abstains.
"""

from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.agent import Agent
from maieutic.agents.registry import make_agent
from maieutic.agents.speech import Solution
from maieutic.calibration.calibrator import Calibrator
from maieutic.context import Context
from maieutic.graphs.certainty import CertaintySettings, Rater, abstains_below, agreed, rate_all, role_of
from maieutic.graphs.fanout import fan_out
from maieutic.graphs.graph import add_node
from maieutic.graphs.votes import Tally
from maieutic.types import Sampling


class Settings(CertaintySettings):
    samples: int = Field(default=8, ge=1, le=1024)
    """Solutions at most."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature; at 0 all samples would be the same."""
    early_stop: bool = True
    """End as soon as the remaining samples can't change the winner."""
    schedule: Literal["waves", "all"] = "waves"
    """`waves` starts the fewest samples that could settle the vote (least cost, and one outcome for a seed); `all`
    starts every sample at once and cancels those still out when it is settled (least latency)."""
    weights: Literal["none", "confidence"] = "none"
    """What a vote weighs: as much as any other, or as much as the model is sure of it. With `confidence` every sample
    is drawn."""
    solver: str = "solver"
    """The agent that is sampled, by name or `package.module:name`."""
    rater: str = "rater"
    """Who says how sure the model is: `rater` in words, `truth-rater` by P(True), `verifier` by P(True) after own
    work."""


class State(TypedDict, total=False):
    votes: dict[str, int]
    winner: str | None


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    solver = make_agent(settings.solver, Sampling(temperature=settings.temperature))
    rater = make_agent(settings.rater) if settings.weights == "confidence" else None
    calibrator = settings.calibrator()

    async def sample(state: State, ctx: Context) -> dict[str, Any]:
        tally = await poll(ctx, solver, settings, rater, calibrator)
        abstains_below(ctx, agreed(ctx, role_of(solver), tally, calibrator), settings.abstain_below)
        return {"votes": tally.counts(), "winner": tally.winner.call_id if tally.winner else None}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "sample", sample)
    graph.add_edge(START, "sample")
    graph.add_edge("sample", END)
    return graph


async def poll(
    ctx: Context,
    solver: Agent[Solution],
    settings: Settings,
    rater: Rater | None = None,
    calibrator: Calibrator | None = None,
) -> Tally:
    """Sample and vote; what leads is proposed as it comes in. With a `rater` votes weigh what it says, where samples
    disagree."""
    early_stop = settings.early_stop and rater is None
    in_waves = early_stop and settings.schedule == "waves"
    solutions: list[Solution] = []
    started = 0

    def settled(wave: list[Solution]) -> bool:
        seen = [*solutions, *wave]
        tally = Tally.of(seen, ctx.task["answer_type"])
        if tally.winner:
            ctx.propose(tally.winner.proposal)
        ctx.emit("vote", votes=tally.counts(), samples=len(seen), of=settings.samples)
        remaining = settings.samples - len(seen)
        return early_stop and tally.needed(remaining, ordered=in_waves) == 0

    while started < settings.samples:
        tally = Tally.of(solutions, ctx.task["answer_type"])
        remaining = settings.samples - started
        wave = tally.needed(remaining) if in_waves else remaining
        if wave == 0:
            break
        names = [f"sample-{i}" for i in range(started + 1, started + wave + 1)]
        solutions += await fan_out(ctx, names, solver, settled)
        started += wave
    tally = Tally.of(solutions, ctx.task["answer_type"])
    if rater is not None and len(tally.groups) > 1:
        voting = {voter.call_id for voter in tally.voters}
        voters = [solution for solution in solutions if solution.call_id in voting]
        tally = tally.weighed(await rate_all(ctx, rater, voters, calibrator))
    _conclude(ctx, tally, solutions)
    weights = {} if tally.weights is None else {"weights": list(tally.weights)}
    of = settings.samples
    ctx.record("vote", votes=tally.counts(), abstained=tally.abstained, samples=len(solutions), of=of, **weights)
    return tally


def _conclude(ctx: Context, tally: Tally, solutions: list[Solution]) -> None:
    """Without a single readable answer, the first sample's text is still what the run has to show."""
    if tally.winner:
        ctx.propose(tally.winner.proposal)
    elif solutions:
        ctx.propose(solutions[0].proposal)
