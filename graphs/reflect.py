"""Attempt, hear what the environment says, reflect, and attempt it anew, with the lessons kept.

Reflection-reinforced attempts (Re-ReST, Dou et al. 2024, arXiv 2406.01495), and Reflexion (Shinn et al. 2023, arXiv
2303.11366) as `form=reflexion`. In the first the reflector writes a whole new attempt itself, after one line that says
what to do differently; in the second it writes a lesson alone, and the solver makes the next attempt with all lessons
before it. Attempts that passed are left as they are.

Deviations: both papers tell failure by the gold answer or the environment's reward. Here `feedback` names what can be
told when the question is asked (errors of tools, the answer's form, a critic); `oracle` is the papers' way, and has to
be switched on for the whole run, which is marked. Where nothing passes, the last attempt with a readable answer stands.
"""

from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.reflector import Reflection
from maieutic.agents.registry import make_agent
from maieutic.agents.retrier import Retrial
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.graphs.feedback import Feedback, Source, feedback_on
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.graphs.learning import drawn, noted, recalled
from maieutic.memory.lessons import Lesson, Lessons
from maieutic.types import Sampling

STEPS = 64


class Settings(GraphSettings):
    rounds: int = Field(default=3, ge=0, le=16)
    """New attempts at most."""
    form: Literal["re-rest", "reflexion"] = "re-rest"
    """Who makes the new attempt: the reflector itself, or the solver with the reflector's lesson before it."""
    feedback: Source = "tools"
    """What says that an attempt failed: `format`, `tools` (that too), `judge` (those, and a critic), or `oracle`."""
    lessons: str | None = None
    """A file to keep lessons in, for later runs too; None keeps them for this run alone."""
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature of the attempts; None leaves it to the run."""
    solver: str = "solver"
    learner: str = "learner"
    reflector: str = "reflector"
    retrier: str = "retrier"
    critic: str = "critic"
    """Agents by name or `package.module:name`."""


class State(TypedDict, total=False):
    recalled: list[str]
    lessons: list[str]
    attempt: str
    feedback: str
    trial: int
    failed: bool


class _Agents:
    """Who speaks, and where lessons are kept."""

    def __init__(self, settings: Settings) -> None:
        sampling = Sampling(temperature=settings.temperature)
        self.settings = settings
        self.solver, self.learner = make_agent(settings.solver, sampling), make_agent(settings.learner, sampling)
        self.retrier, self.reflector = make_agent(settings.retrier, sampling), make_agent(settings.reflector)
        self.critic = make_agent(settings.critic)
        self.store = Lessons(settings.lessons) if settings.lessons else None

    async def first(self, ctx: Context, notes: str) -> tuple[Solution, Feedback]:
        async with ctx.fork("attempt-1") as branch:
            solution = await (self.learner(branch, notes) if notes else self.solver(branch))
            return solution, await self._heard(branch, solution)

    async def again(
        self, ctx: Context, trial: int, before: Solution, said: Feedback, notes: str
    ) -> tuple[Retrial, Feedback]:
        """A new attempt in a branch, and thus an interpreter, of its own."""
        async with ctx.fork(f"attempt-{trial}") as branch:
            if self.settings.form == "re-rest":
                made: Retrial = await self.retrier(branch, before, said.text, notes)
            else:
                made = Retrial(await self.learner(branch, notes) if notes else await self.solver(branch), None)
            return made, await self._heard(branch, made.solution)

    async def _heard(self, branch: Context, solution: Solution) -> Feedback:
        return await feedback_on(branch, solution, branch.branch.session.results, self.settings.feedback, self.critic)


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    agents = _Agents(settings)

    async def attempt(state: State, ctx: Context) -> dict[str, Any]:
        known = await recalled(ctx, agents.store, ctx.task["question"])
        solution, heard = await agents.first(ctx, noted(known, []))
        return {"recalled": known, "lessons": [], "trial": 1, **_taken(ctx, solution, heard)}

    async def reflect(state: State, ctx: Context) -> dict[str, Any]:
        before, said = ctx.recall(state["attempt"], Solution), ctx.recall(state["feedback"], Feedback)
        reflection: Reflection = await agents.reflector(ctx, before, said.text)
        return await _learnt(ctx, agents, state, reflection.lesson, reflection.call_id, before)

    async def retry(state: State, ctx: Context) -> dict[str, Any]:
        before, said = ctx.recall(state["attempt"], Solution), ctx.recall(state["feedback"], Feedback)
        own = [ctx.recall(key, Lesson).text for key in state["lessons"]]
        trial = state["trial"] + 1
        made, heard = await agents.again(ctx, trial, before, said, noted(state["recalled"], own))
        learnt = await _learnt(ctx, agents, state, made.lesson, made.solution.call_id, before)
        return {"trial": trial, **learnt, **_taken(ctx, made.solution, heard)}

    step = "retry" if settings.form == "re-rest" else "reflect"

    def after(state: State) -> str:
        return step if state["failed"] and state["trial"] <= settings.rounds else END

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "attempt", attempt)
    add_node(graph, "retry", retry)
    if step == "reflect":
        add_node(graph, "reflect", reflect)
        graph.add_edge("reflect", "retry")
    graph.add_edge(START, "attempt")
    graph.add_conditional_edges("attempt", after, [step, END])
    graph.add_conditional_edges("retry", after, [step, END])
    return graph


def _taken(ctx: Context, solution: Solution, heard: Feedback) -> dict[str, Any]:
    """The attempt becomes the run's answer where it has one that can be read, or where there is none yet."""
    if solution.answer is not None or ctx.run.best is None:
        ctx.propose(solution.proposal)
    return {"attempt": ctx.keep(solution), "feedback": ctx.keep(heard), "failed": heard.passed is False}


async def _learnt(
    ctx: Context, agents: _Agents, state: State, text: str | None, call_id: str, before: Solution
) -> dict[str, Any]:
    """The lessons of this run with a new one, if it could be read."""
    if text is None:
        return {}
    lesson = await drawn(ctx, agents.store, text, ctx.task["question"], call_id, [before.call_id])
    return {"lessons": [*state["lessons"], ctx.keep(lesson)]}
