"""Think in words and in Python within one line of thought: code is run where it is written, and the thought goes on.

R1-Code-Interpreter (Chen et al. 2025, arXiv 2505.21668) with the grammar `fence`, ARTIST (Singh et al. 2025, arXiv
2505.01441) with `artist`: generation ends with a block of code, its output is put in, and after five blocks the answer
has to be given in words. Unlike `tool_loop`, nothing is needed of a model but that it writes text. The result is read
from an `Answer:` line (or `<answer>`), as everywhere here, and not from between `<<<` and `>>>`.
"""

from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.grammar import CODE_GRAMMARS
from maieutic.agents.prompts import opening
from maieutic.agents.tagged import Insertion, Line, Seen, Tagged
from maieutic.context import Context
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.types import Sampling

NEEDS = ("python",)
STEPS = 130


class Settings(GraphSettings):
    max_calls: int = Field(default=5, ge=1, le=60)
    """Blocks of code at most, those that could not be read included."""
    grammar: Literal["fence", "artist"] = "fence"
    """`fence`: Markdown blocks; `artist`: tags for code, output and answer."""
    insertion: Insertion = "auto"
    """Where outputs are put: into the `thought` itself, or as a `turn` of the user; `auto` takes the thought where the
    model's tokens are at hand."""
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature; None leaves it to the run."""
    role: str = "interpreter"
    """Who thinks: the name of its prompt, and of its model where it has one of its own."""


class State(TypedDict, total=False):
    line: str
    seen: str
    acting: bool


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    grammar = CODE_GRAMMARS[settings.grammar]
    sampling = Sampling(temperature=settings.temperature)
    thinker = Tagged(settings.role, grammar, sampling, settings.max_calls, settings.insertion)

    async def reason(state: State, ctx: Context) -> dict[str, Any]:
        if "line" in state:
            line = await thinker.go_on(ctx, ctx.recall(state["line"], Line), ctx.recall(state["seen"], Seen))
        else:
            line = await thinker.begin(ctx, opening(ctx, settings.role, form=grammar.form))
        if line.ended:
            ctx.propose(line.solution.proposal)
        return {"line": ctx.keep(line), "acting": not line.ended}

    async def run_code(state: State, ctx: Context) -> dict[str, Any]:
        return {"seen": ctx.keep(await thinker.act(ctx, ctx.recall(state["line"], Line)))}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "reason", reason)
    add_node(graph, "run_code", run_code)
    graph.add_edge(START, "reason")
    graph.add_conditional_edges("reason", lambda state: "run_code" if state["acting"] else END, ["run_code", END])
    graph.add_edge("run_code", "reason")
    return graph
