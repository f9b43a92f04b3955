"""Write a program with tests of its own, run them, and repair what fails, until they pass or the rounds are over.

CodeCoT (Huang et al. 2023, arXiv 2308.08784). Each round runs in an interpreter of its own, so that nothing of an
earlier version is left. A test that is left before its end has not passed. `freeze_tests` keeps the tests of the first
round: whoever may rewrite the tests can also make them agree with a wrong program. The last version is submitted, or
the one before it where the last can't be read.
"""

import hashlib
import json
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.programmer import Draft, Programmer
from maieutic.agents.registry import make_agent
from maieutic.context import Context
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.tasks.code import to_its_end
from maieutic.types import Sampling, ToolCall

NEEDS = ("python",)
STEPS = 64


class Settings(GraphSettings):
    rounds: int = Field(default=5, ge=1, le=16)
    """Versions of the program at most; each one is run against the tests."""
    freeze_tests: bool = False
    """Keep the tests of the first round."""
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature; None leaves it to the run."""
    programmer: str = "programmer"
    """The agent that writes and repairs, by name or `package.module:name`."""


class State(TypedDict, total=False):
    draft: str
    round: int
    runs: bool
    passed: bool
    report: str


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    programmer: Programmer = make_agent(settings.programmer, Sampling(temperature=settings.temperature))

    async def draft(state: State, ctx: Context) -> dict[str, Any]:
        first = await programmer(ctx)
        ctx.propose(first.solution.proposal)
        return {"draft": ctx.keep(first), "round": 1, "runs": first.code is not None}

    async def run_tests(state: State, ctx: Context) -> dict[str, Any]:
        passed, report = await _run(ctx, ctx.recall(state["draft"], Draft), state["round"])
        done = {"round": state["round"], "of": settings.rounds, "frozen": settings.freeze_tests}
        ctx.gate("tests", "passed" if passed else "failed", **done)
        return {"passed": passed, "report": report}

    async def repair(state: State, ctx: Context) -> dict[str, Any]:
        before = ctx.recall(state["draft"], Draft)
        after = await programmer(ctx, before, state["report"], settings.freeze_tests)
        if after.code is None:
            return {"runs": False}
        ctx.propose(after.solution.proposal)
        return {"draft": ctx.keep(after), "round": state["round"] + 1}

    def after_tests(state: State) -> str:
        return END if state["passed"] or state["round"] >= settings.rounds else "repair"

    def after_writing(state: State) -> str:
        return "run_tests" if state["runs"] else END

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "draft", draft)
    add_node(graph, "run_tests", run_tests)
    add_node(graph, "repair", repair)
    graph.add_edge(START, "draft")
    graph.add_conditional_edges("draft", after_writing, ["run_tests", END])
    graph.add_conditional_edges("run_tests", after_tests, ["repair", END])
    graph.add_conditional_edges("repair", after_writing, ["run_tests", END])
    return graph


async def _run(ctx: Context, draft: Draft, number: int) -> tuple[bool, str]:
    """Whether a draft passes its tests, and what the model is told of that."""
    assert draft.code is not None and draft.tests is not None
    both = f"{draft.code}\n\n{draft.tests}"
    mark = hashlib.sha256(both.encode("utf-8", "replace")).hexdigest()[:16]
    code = json.dumps({"code": to_its_end(both, mark)}, ensure_ascii=False)
    async with ctx.fork(f"round-{number}") as branch:
        result = await branch.use(ToolCall(f"tests-{number}", "python", code), draft.call_id)
    ended = mark in result.content
    passed = result.status == "ok" and ended
    ctx.record("label", of=draft.call_id, name="own_tests", value=passed)
    told = "\n".join(line for line in result.content.splitlines() if mark not in line)
    if result.status == "ok" and not ended:
        told += "\nThe tests were left before their end."
    return passed, told.strip()
