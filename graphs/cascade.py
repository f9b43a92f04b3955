"""Answer cheaply first, and go on to a dearer stage only where the confidence in the answer is too low.

A cascade as in FrugalGPT (Chen et al. 2023, arXiv 2305.05176): stages from the cheapest to the dearest, models or ways
to use one, and an answer stands as soon as it scores high enough. The score is a confidence: by the log-probabilities
of the answer's tokens (Gupta et al. 2024, arXiv 2404.10136), by P(True) or in words (arXiv 2207.05221, 2504.06564), and
after a vote by the agreement of the samples (Yue et al. 2023, arXiv 2310.03094), each calibrated where there is a
calibration. Where the model is still not sure, it says that it does not know.

Deviations: FrugalGPT trains a scorer and searches for order and thresholds together; here the order is given, and one
threshold holds for all stages, to be chosen on other questions. A missing confidence is not high enough.
"""

from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import BeforeValidator, Field

from maieutic.agents.confidence import Confidence, LikelihoodRater
from maieutic.agents.registry import make_agent
from maieutic.agents.solver import unaided
from maieutic.agents.speech import Solution, fitted
from maieutic.calibration.calibrator import Calibrator
from maieutic.context import Context
from maieutic.errors import ModelError, UserError
from maieutic.graphs import self_consistency
from maieutic.graphs.certainty import CertaintySettings, abstains_below, agreed, role_of
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.tasks.abstention import abstains
from maieutic.types import Sampling


class Stage(GraphSettings):
    """A way to answer: by one solution, or by a vote over several."""

    samples: int = Field(default=1, ge=1, le=1024)
    """Solutions at most; their vote ends as soon as it is settled, and its agreement is the confidence."""
    temperature: float | None = Field(default=None, ge=0)
    """None is 0 for one solution and 1 for several."""
    tools: bool = False
    """Whether the solver may call the run's tools."""
    model: str | None = None
    """A model of its own, by name."""
    solver: str = "solver"
    """The agent that solves, by name or `package.module:name`."""

    @property
    def heat(self) -> float:
        """The sampling temperature."""
        return self.temperature if self.temperature is not None else 0.0 if self.samples == 1 else 1.0

    @property
    def name(self) -> str:
        """What tells it from other stages of the same model: its confidences have a curve of their own."""
        many = "" if self.samples == 1 else f"vote of {self.samples}, "
        who = "" if self.solver == "solver" else f"{self.solver}, "
        return who + many + (f"T {self.heat:g}" if self.heat else "greedy") + (", tools" if self.tools else "")


STAGES = {
    "at_once": Stage(solver="responder"),
    "greedy": Stage(),
    "sample": Stage(temperature=1.0),
    "vote": Stage(samples=5),
    "tool": Stage(tools=True),
    "tool_vote": Stage(samples=5, tools=True),
}


def _named(value: Any) -> Any:
    """The stage of this name; anything else as it is."""
    if isinstance(value, str) and value not in STAGES:
        raise ValueError(f"there is no stage {value!r}; they are {', '.join(STAGES)}, or what a stage has")
    return STAGES[value] if isinstance(value, str) else value


class Settings(CertaintySettings):
    stages: tuple[Annotated[Stage, BeforeValidator(_named)], ...] = Field(
        default=(STAGES["greedy"], STAGES["vote"]), min_length=1, max_length=16
    )
    """From the cheapest to the dearest: names (at_once, greedy, sample, vote, tool, tool_vote), or what a stage has."""
    threshold: float = Field(default=0.8, ge=0)
    """How sure is sure enough for an answer to stand; above 1 nothing is, and every stage is asked and rated."""
    rater: str = "min-logprob"
    """Who says how sure the model is of one solution: `min-logprob` or `mean-logprob` by its tokens, `truth-rater` by
    P(True), `verifier` by P(True) after own work, `rater` in words."""


class State(TypedDict, total=False):
    tried: int
    standing: str
    done: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """The answer so far, and how sure the model is of it; None where that is missing."""

    solution: Solution
    sure: Confidence | None

    @property
    def call_id(self) -> str:
        return self.solution.call_id


def cast(settings: Settings) -> dict[str, str | None]:
    """A role for each stage: solver-1 and so on."""
    return {f"solver-{i}": stage.model for i, stage in enumerate(settings.stages, 1)}


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    calibrator = settings.calibrator()
    stages = [_Stage(settings, i, calibrator) for i in range(len(settings.stages))]

    async def answer(state: State, ctx: Context) -> dict[str, Any]:
        tried = state.get("tried", 0)
        if not tried and not ctx.tools and any(stage.tools for stage in settings.stages):
            raise UserError("A stage of the cascade calls tools: give the run one, such as --tool python.")
        before = ctx.recall(state["standing"], Standing) if "standing" in state else None
        last = tried + 1 == len(stages)
        standing, value = await _stand(ctx, stages[tried], before, last)
        enough = value is not None and value >= settings.threshold
        if not last:
            named = {"stage": settings.stages[tried].name, "confidence": value, "threshold": settings.threshold}
            ctx.gate("cascade", "accept" if enough else "defer", number=tried + 1, of=len(stages), **named)
        done = enough or last
        if done and standing is not None:
            abstains_below(ctx, standing.sure, settings.abstain_below)
        return {"tried": tried + 1, "done": done, **({"standing": ctx.keep(standing)} if standing else {})}

    def after(state: State) -> str:
        return END if state.get("done") else "answer"

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "answer", answer)
    graph.add_edge(START, "answer")
    graph.add_conditional_edges("answer", after, ["answer", END])
    return graph


class _Stage:
    """One stage: who solves in it, and who says how sure the model is."""

    def __init__(self, settings: Settings, number: int, calibrator: Calibrator | None) -> None:
        self._stage, self._role = settings.stages[number], f"solver-{number + 1}"
        solver = make_agent(self._stage.solver, Sampling(temperature=self._stage.heat))
        if self._stage.model and not hasattr(solver, "speaker"):
            raise UserError(f"{self._stage.solver} can't be told who speaks: give its role a model, and not the stage.")
        self._solver = solver if self._stage.tools else unaided(solver)
        self._rater, self._calibrator = make_agent(settings.rater), calibrator
        last = number + 1 == len(settings.stages)
        self._rated = not last or settings.abstain_below is not None or settings.threshold > 1

    async def answer(self, ctx: Context) -> Standing:
        """Answer, propose the answer, and rate it. Raises ModelError where the answer fails."""
        own = self._role if self._role in ctx.run.models else None
        solver = fitted(self._solver, speaker=own) if own else self._solver
        if self._stage.samples > 1:
            return await self._vote(ctx, solver)
        solution: Solution = await solver(ctx)
        if solution.answer is not None or ctx.run.best is None:
            ctx.propose(solution.proposal)
        return Standing(solution, await self._rate(ctx, solution, solver, own) if self._rated else None)

    async def _vote(self, ctx: Context, solver: Any) -> Standing:
        asked = self_consistency.Settings(samples=self._stage.samples)
        before = ctx.run.best
        tally = await self_consistency.poll(ctx, solver, asked)
        sure = agreed(ctx, role_of(solver), tally, self._calibrator, stage=self._stage.name)
        shown = ctx.run.best
        assert shown is not None  # the poll has proposed what leads, or the first sample
        if tally.winner is None and before is not None:  # what can't be read takes no answer's place
            ctx.propose(before)
        return Standing(tally.winner or Solution(shown.text, None, shown.call_id or "vote"), sure)

    async def _rate(self, ctx: Context, solution: Solution, solver: Any, own: str | None) -> Confidence | None:
        """How sure the model is; None where there is no answer to be sure of, or it can't be asked."""
        if solution.answer is None or abstains(solution.answer):
            return None
        speaker = own or (role_of(solver) if isinstance(self._rater, LikelihoodRater) else "")
        rater = fitted(self._rater, stage=self._stage.name, speaker=speaker)
        try:
            sure: Confidence = await rater(ctx, solution, self._calibrator, ())
        except ModelError as error:
            ctx.record("error", error=f"{type(error).__name__}: {error}")
            return None
        return sure


async def _stand(
    ctx: Context, stage: _Stage, before: Standing | None, last: bool
) -> tuple[Standing | None, float | None]:
    """What stands after a stage, and how sure it is of its own answer. An answer that can't be read, or that failed,
    leaves the one before it standing; the last stage's failure is raised where there is none."""
    try:
        found = await stage.answer(ctx)
    except ModelError as error:
        if last and before is None:
            raise
        ctx.record("error", error=f"{type(error).__name__}: {error}")
        if last:
            ctx.mark_partial(f"The last stage failed: {error}")
        return before, None
    if found.solution.answer is None and before is not None:
        return before, None
    return found, found.sure.value if found.sure else None
