"""Reason in three ways at once, in words, by a program that is run, and by a truth table, and take the majority.

Mixture-of-Thought (Zheng et al. 2025, arXiv 2505.15817). Its released code reads the answer that the model writes under
its program and its table; here the program is run, and the table is made by an enumerator from the formulas that the
model writes. A way that fails, or says nothing that can be read, abstains. A tie goes to the first of its answers in a
stated order, the ways that are worked out first; in the released code to the label that is first in the alphabet.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args

from langgraph.graph import END, START, StateGraph
from pydantic import Field, field_validator

from maieutic.agents.registry import make_agent
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.graphs.fanout import fan_out
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.graphs.votes import Tally
from maieutic.types import Sampling

NEEDS = ("python",)

Mode = Literal["language", "code", "truth_table"]
MODES: tuple[Mode, ...] = get_args(Mode)


class Settings(GraphSettings):
    temperature: float = Field(default=0.7, ge=0)
    """Sampling temperature of all three."""
    tie_order: tuple[Mode, ...] = ("truth_table", "code", "language")
    """Whose answer is taken where no answer has the most votes."""
    language: str = "solver"
    code: str = "coder"
    truth_table: str = "logician"
    """Agents by name or `package.module:name`."""

    @field_validator("tie_order")
    @classmethod
    def _each_once(cls, order: tuple[Mode, ...]) -> tuple[Mode, ...]:
        if sorted(order) != sorted(MODES):
            raise ValueError("name each of language, code and truth_table once")
        return order


class State(TypedDict, total=False):
    ways: dict[str, str]


@dataclass(frozen=True, slots=True)
class Way:
    """What one way of reasoning came to."""

    mode: Mode
    solution: Solution


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    sampling = Sampling(temperature=settings.temperature)
    agents = {mode: make_agent(getattr(settings, mode), sampling) for mode in MODES}

    async def think(state: State, ctx: Context) -> dict[str, Any]:
        async def work(branch: Context) -> Way:
            mode = next(mode for mode in MODES if branch.branch.path.endswith(mode))
            solution = await agents[mode](branch)
            if ctx.run.best is None or ctx.run.best.answer is None:
                ctx.propose(solution.proposal)
            return Way(mode, solution)

        ways = await fan_out(ctx, list(MODES), work)
        return {"ways": {way.mode: ctx.keep(way.solution) for way in ways}}

    async def vote(state: State, ctx: Context) -> dict[str, Any]:
        solutions = {mode: ctx.recall(state["ways"][mode], Solution) for mode in MODES if mode in state["ways"]}
        _decide(ctx, solutions, settings.tie_order)
        return {}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "think", think)
    add_node(graph, "vote", vote)
    graph.add_edge(START, "think")
    graph.add_edge("think", "vote")
    graph.add_edge("vote", END)
    return graph


def _decide(ctx: Context, solutions: dict[Mode, Solution], order: tuple[Mode, ...]) -> None:
    tally = Tally.of(list(solutions.values()), ctx.task["answer_type"])
    leading = [group for group in tally.groups if len(group) == len(tally.groups[0])]
    candidates = [solution for group in leading for solution in group] or list(solutions.values())
    chosen = next(mode for mode in order if solutions.get(mode) in candidates)
    answers = {mode: solution.answer for mode, solution in solutions.items()}
    decision = "majority" if len(leading) == 1 else "tie" if leading else "none"
    ctx.propose(solutions[chosen].proposal)
    ctx.gate("vote", decision, chosen=chosen, answers=answers, order=list(order))
    ctx.emit("vote", votes=tally.counts(), samples=len(solutions), of=len(MODES))
    ctx.record(
        "vote", votes=tally.counts(), abstained=tally.abstained, samples=len(solutions), of=len(MODES), answers=answers
    )
