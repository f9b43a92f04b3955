"""Search over the steps of a solution: sample next steps, value what they lead to, commit to what was visited most.

R-MCTS (Yu et al. 2024, ExACT, arXiv 2410.02052). A node is a partial solution with its tools' state. Priors are how
often a step was sampled; a new state is valued by a debate (supporter and opponent side by side, then a judge, several
times) or by a judge alone; the running means are backed up; after `evaluations` visits the most visited step is taken,
and a state whose value is 1 is gone to at once. After a question the most surprising step becomes a lesson, kept for
states like it. State is restored by replay: in a new session the tool calls on the way to a node are made again.

Deviations: what was found below the step that is taken is kept for the next search; steps are sampled when a state is
visited a second time and not the first; an error of the valuer leaves the value missing (the released code takes 0);
lessons are looked up once for each step taken. Success is estimated by the mean values; `oracle` asks for the outcome.
"""

from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.reflector import Reflection
from maieutic.agents.registry import make_agent
from maieutic.context import Context
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.graphs.learning import drawn, noted, recalled
from maieutic.graphs.puct import most_visited, surprise
from maieutic.graphs.treesearch import Search, proposal_of, success_of, texts
from maieutic.memory.lessons import Lessons
from maieutic.trace.record import Parent
from maieutic.types import Outcome, Sampling

STEPS = 128


class Settings(GraphSettings):
    steps: int = Field(default=8, ge=1, le=50)
    """Steps that are taken at most; each is searched for."""
    evaluations: int = Field(default=8, ge=1, le=1000)
    """Visits of states before a step is taken."""
    branching: int = Field(default=3, ge=1)
    """Different next steps that are looked into."""
    samples: int = Field(default=6, ge=1)
    """Next steps that are sampled; equal ones are counted together."""
    depth: int = Field(default=4, ge=1)
    """Steps that are looked ahead."""
    exploration: float = Field(default=1.0, ge=0)
    """The constant of PUCT: how much probable and little visited steps are favoured."""
    debate: bool = True
    """Whether two sides argue over a state before it is valued."""
    judges: int = Field(default=3, ge=1)
    """Values that are asked for and averaged, for each state."""
    mapping: Literal["plain", "reinforced"] = "plain"
    """What the five statuses are worth: 1, .9, .5, .2, 0, or 1, .7, .5, -.2, -1."""
    temperature: float = Field(default=1.0, gt=0)
    top_p: float = Field(default=0.95, gt=0, le=1)
    """How next steps are sampled."""
    reflect: bool = True
    """Whether the most surprising step becomes a lesson."""
    surprise: float = Field(default=0.5, ge=0)
    """How far what came of a step must be from what it was worth, for a lesson."""
    success: Literal["self", "oracle"] = "self"
    """What the lesson is told of success: mean values above `confident`, or the outcome (needs the oracle)."""
    confident: float = Field(default=0.7, ge=0, le=1)
    lessons: str | None = None
    """A file to keep lessons in, for later runs too; None keeps them in the trace alone."""
    stepper: str = "stepper"
    valuer: str = "valuer"
    supporter: str = "supporter"
    opponent: str = "opponent"
    contraster: str = "contraster"
    finisher: str = "executor"
    """Agents by name or `package.module:name`; the finisher answers where no step did."""


class State(TypedDict, total=False):
    tree: str
    taken: int
    ended: bool


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    store = Lessons(settings.lessons) if settings.lessons else None
    stepper = make_agent(settings.stepper, Sampling(temperature=settings.temperature, top_p=settings.top_p))
    arguing = Sampling(temperature=0.1)
    arguers = (make_agent(settings.supporter, arguing), make_agent(settings.opponent, arguing))
    valuer = make_agent(settings.valuer, Sampling(temperature=1.0))
    contraster, finisher = make_agent(settings.contraster), make_agent(settings.finisher)

    async def search(state: State, ctx: Context) -> dict[str, Any]:
        tree = ctx.recall(state["tree"], Search) if "tree" in state else Search(settings, stepper, valuer, arguers)
        if "tree" not in state:
            tree.record(ctx, tree.trunk)
        about = "\n".join([ctx.task["question"], *texts(tree.root)])
        tree.notes = noted(await recalled(ctx, store, about), [])
        solved = None
        for _ in range(settings.evaluations):
            solved = await tree.iterate(ctx)
            if solved is not None or tree.root.terminal:
                break
        chosen = solved or most_visited(tree.root)
        visits = {child.id: child.visits for child in tree.root.children}
        ctx.gate("step", chosen.id if chosen else "none", solved=solved is not None, visits=visits, root=tree.root.id)
        if chosen is not None:
            tree.commit(ctx, chosen)
        taken = state.get("taken", 0) + 1
        ended = chosen is None or chosen.terminal or taken >= settings.steps
        return {"tree": ctx.keep(tree), "taken": taken, "ended": ended}

    async def conclude(state: State, ctx: Context) -> dict[str, Any]:
        tree = ctx.recall(state["tree"], Search)
        if tree.root.answer is not None:
            ctx.propose(proposal_of(tree.root))
        elif tree.best is None:
            before = (Parent(tree.root.call_id, "continuation"),) if tree.root.call_id else ()
            solution = await finisher(ctx, "\n\n".join(texts(tree.root)) or "none", before)
            ctx.propose(solution.proposal)
        return {}

    async def reflect(state: State, ctx: Context) -> dict[str, Any]:
        await _reflected(ctx, settings, store, ctx.recall(state["tree"], Search), contraster)
        return {}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "search", search)
    add_node(graph, "conclude", conclude)
    add_node(graph, "reflect", reflect)
    graph.add_edge(START, "search")
    graph.add_conditional_edges(
        "search", lambda state: "conclude" if state["ended"] else "search", ["conclude", "search"]
    )
    graph.add_conditional_edges("conclude", lambda _: "reflect" if settings.reflect else END, ["reflect", END])
    graph.add_edge("reflect", END)
    return graph


async def _reflected(ctx: Context, settings: Settings, store: Lessons | None, tree: Search, contraster: Any) -> None:
    """Draw a lesson from the most surprising of the steps that were taken."""
    path = tree.root.path()[1:]
    found = surprise(path)
    success = success_of(path, settings.confident)
    if settings.success == "oracle" and ctx.run.best is not None:
        success = await ctx.verdict_of(ctx.run.best) is Outcome.CORRECT
    error = None if found is None else round(found[1], 6)
    worth = error is not None and error >= settings.surprise
    step = found[0].id if found else None
    ctx.gate("reflection", "reflect" if worth else "skip", step=step, surprise=error, success=success)
    if found is None or not worth:
        return
    node = found[0]
    assert node.parent is not None
    before, whole = texts(node.parent), texts(tree.root)
    own = texts(node)[-1]
    made: Reflection = await contraster(ctx, before, own, whole[len(before) + 1 :], success, node.call_id)
    if made.lesson is not None:
        about = "\n".join([ctx.task["question"], *before])
        await drawn(ctx, store, made.lesson, about, made.call_id, [node.call_id])
