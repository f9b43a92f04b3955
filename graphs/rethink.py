"""Answer, be made to think again, and answer once more: forced rethinking.

VL-Rethinker (Wang et al. 2025, arXiv 2504.08837) appends a sentence to the end of an answer, and the model has to think
on and answer again: a check, a correction, or a question to itself. The paper does that while it trains, to teach a
model to do it unasked, and keeps the rollouts whose last answer is right; here it is a graph, whose traces are those
rollouts.

Deviations: the sentences are our own, and every answer is rethought, not a share of them. Where a model can't go on
within its turn, the sentence is a message of the user (the form `chat`).
"""

from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.thinker import Draft, Form, Thinker, Wanted, form_for
from maieutic.context import Context
from maieutic.errors import ModelError
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.llm.sampling import derived_seed
from maieutic.tasks.answers import equivalent
from maieutic.types import Sampling

TRIGGERS = {
    "verify": "\n\nBefore I stand by this, let me check it: I go through the steps once more and put the result to the "
    "test.\n\n",
    "correct": "\n\nWait, I may have got something wrong here. Let me find the step that fails and put it right.\n\n",
    "question": "\n\nHold on. Did I read the question as it is meant, and is what I take for granted true? Let me "
    "think again.\n\n",
}
Kind = Literal["verify", "correct", "question"]


class Settings(GraphSettings):
    times: int = Field(default=1, ge=1, le=16)
    """How often an answer is rethought."""
    kind: Literal["mixed", "verify", "correct", "question"] = "mixed"
    """What is put in behind it: a check, a correction, a question to itself, or one of the three by the run's seed."""
    form: Wanted = "auto"
    """`continuation`: it is put into the model's own turn; `chat`: it is a message of the user; `auto` takes the first
    where the model's tokens are at hand."""
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature; None leaves it to the run."""
    role: str = "solver"
    """Who thinks: the name of its prompt, and of its model where it has one of its own."""


class State(TypedDict, total=False):
    draft: str
    form: Form
    times: int
    going: bool


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    thinker = Thinker(settings.role, Sampling(temperature=settings.temperature))

    async def answer(state: State, ctx: Context) -> dict[str, Any]:
        form = form_for(ctx, settings.form, [settings.role])
        draft = await thinker.begin(ctx, form)
        ctx.propose(draft.solution.proposal)
        able = form == "continuation" or ctx.model_for(settings.role).profile.conversation
        if not (able and draft.ended):  # what was cut off has no end to put anything behind
            ctx.gate("rethink", "no conversation" if not able else "cut", times=0, call_id=draft.call_id)
        return {"draft": ctx.keep(draft), "form": form, "times": 0, "going": able and draft.ended}

    async def rethink(state: State, ctx: Context) -> dict[str, Any]:
        draft, times = ctx.recall(state["draft"], Draft), state["times"] + 1
        kind = _kind(ctx, settings, times)
        try:
            again = await thinker.go_on(ctx, draft, TRIGGERS[kind], state["form"])
        except ModelError as error:  # the answer before it stays
            ctx.record("error", error=f"{type(error).__name__}: {error}")
            return {"going": False}
        decision = _turn(ctx, draft.answer, again.answer)
        ctx.gate(
            "rethink", decision, kind=kind, times=times, before=draft.answer, after=again.answer, call_id=again.call_id
        )
        ctx.propose(again.solution.proposal)
        return {"draft": ctx.keep(again), "times": times, "going": again.ended and times < settings.times}

    def after(state: State) -> str:
        return "rethink" if state["going"] else END

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "answer", answer)
    add_node(graph, "rethink", rethink)
    graph.add_edge(START, "answer")
    graph.add_conditional_edges("answer", after, ["rethink", END])
    graph.add_conditional_edges("rethink", after, ["rethink", END])
    return graph


def _kind(ctx: Context, settings: Settings, times: int) -> Kind:
    """Which sentence; a mixed one is drawn by the run's seed, so that a run that is resumed draws the same."""
    if settings.kind != "mixed":
        return settings.kind
    kinds: tuple[Kind, ...] = ("verify", "correct", "question")
    return kinds[derived_seed(ctx.run.seed, "rethink", times) % len(kinds)]


def _turn(ctx: Context, before: str | None, after: str | None) -> str:
    """What became of the answer: it was found, kept or changed, or there is none."""
    if after is None:
        return "missing"
    if before is None:
        return "found"
    return "kept" if before == after or equivalent(before, after, ctx.task["answer_type"]) else "changed"
