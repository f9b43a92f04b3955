"""A controller takes the question apart, a worker carries it out, and what comes back goes to the controller again.

Matryoshka (Li et al. 2024, arXiv 2410.20749): a small model that can be trained drives a large one that can't. Give the
role `worker` a model of its own (`models={"worker": …}`). The controller is trained on which of its layouts made the
worker succeed.

Deviations: the released code tells the controller at test time whether the answer equals the gold one, up to six times.
Here `feedback` names what can be told without it; `oracle` has to be switched on, and marks the run.
"""

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.controller import Layout, Turn
from maieutic.agents.registry import make_agent
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.errors import ModelError
from maieutic.graphs.feedback import Feedback, Source, feedback_on
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.trace.record import Parent
from maieutic.types import Sampling

STEPS = 64


class Settings(GraphSettings):
    turns: int = Field(default=3, ge=1, le=16)
    """Layouts at most, the first one included."""
    feedback: Source = "tools"
    """What says that the worker failed: `format`, `tools` (that too), `judge` (those, and a critic), or `oracle`."""
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature of the controller; None leaves it to the run."""
    worker_temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature of the worker; None leaves it to the run."""
    controller: str = "controller"
    worker: str = "worker"
    critic: str = "critic"
    """Agents by name or `package.module:name`."""


class State(TypedDict, total=False):
    turn: int
    layout: str
    work: str
    feedback: str
    failed: bool


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    controller = make_agent(settings.controller, Sampling(temperature=settings.temperature))
    worker = make_agent(settings.worker, Sampling(temperature=settings.worker_temperature))
    critic = make_agent(settings.critic)

    async def lay_out(state: State, ctx: Context) -> dict[str, Any]:
        before, turn = None, state.get("turn", 0) + 1
        if "layout" in state:
            layout, work = ctx.recall(state["layout"], Layout), ctx.recall(state["work"], Solution)
            before = Turn(layout, work, ctx.recall(state["feedback"], Feedback).text)
        try:
            made: Layout = await controller(ctx, before)
        except ModelError as error:
            if "work" in state:
                raise
            ctx.record("error", error=f"{type(error).__name__}: {error}")  # the worker can do without
            return {"turn": turn}
        return {"layout": ctx.keep(made), "turn": turn}

    async def execute(state: State, ctx: Context) -> dict[str, Any]:
        layout = ctx.recall(state["layout"], Layout) if "layout" in state else None
        plan, parents = "none", tuple[Parent, ...]()
        if layout is not None:
            plan, parents = layout.text or "none", (Parent(layout.call_id, "peer"),)
        async with ctx.fork(f"turn-{state['turn']}") as branch:
            work: Solution = await worker(branch, plan, parents)
            heard = await feedback_on(branch, work, branch.branch.session.results, settings.feedback, critic)
        if layout is not None:
            ctx.record("label", of=layout.call_id, name="worker", value=heard.passed, source=settings.feedback)
        if work.answer is not None or "work" not in state:
            ctx.propose(work.proposal)
        return {"work": ctx.keep(work), "feedback": ctx.keep(heard), "failed": heard.passed is False}

    def after(state: State) -> str:
        return "lay_out" if state["failed"] and state["turn"] < settings.turns else END

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "lay_out", lay_out)
    add_node(graph, "execute", execute)
    graph.add_edge(START, "lay_out")
    graph.add_edge("lay_out", "execute")
    graph.add_conditional_edges("execute", after, ["lay_out", END])
    return graph
