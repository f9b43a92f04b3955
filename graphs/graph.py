"""The `Graph` noun: who speaks when, a LangGraph `StateGraph` made by `build(settings)`, one file a workflow.

A graph file has a docstring (its first line is the summary), a pydantic class `Settings`, and `build(settings)` that
returns a `StateGraph` whose context is a `maieutic.context.Context`. `STEPS` bounds its supersteps where the default
is too low. Nodes are added with `add_node` below.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from langgraph.errors import GraphRecursionError
from langgraph.graph import StateGraph
from langgraph.runtime import Runtime
from pydantic import BaseModel, ConfigDict, ValidationError

from maieutic.context import Context
from maieutic.errors import ConfigError, MaieuticError

Action = Callable[[Any, Context], Awaitable[dict[str, Any]]]
DEFAULT_STEPS = 64


class GraphSettings(BaseModel):
    """Base of every graph's settings: unknown names are errors, values don't change during a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def add_node(
    graph: "StateGraph[Any, Context, Any, Any]",
    name: str,
    action: Action,
    destinations: tuple[str, ...] | None = None,
) -> None:
    """Add `action(state, ctx) -> update` as node `name`; the context speaks from that node."""

    async def run(state: Any, runtime: Runtime[Context]) -> dict[str, Any]:
        return await action(state, runtime.context.at(name))

    graph.add_node(name, run, destinations=destinations, metadata={"action": action})


@dataclass(frozen=True)
class Graph:
    """A workflow, compiled with its settings; safe to run many times and concurrently."""

    name: str
    summary: str
    settings: GraphSettings
    compiled: Any
    steps: int
    lone: Action | None = None

    @classmethod
    def of(cls, name: str, module: ModuleType, values: Mapping[str, Any]) -> "Graph":
        """Build the graph of a module; raises ConfigError for a setting it does not have or that has a wrong value."""
        try:
            settings = module.Settings.model_validate(dict(values))
        except ValidationError as error:
            raise ConfigError(_explain(name, error, module.Settings)) from None
        graph = module.build(settings)
        compiled = graph.compile(name=name)
        steps = getattr(module, "STEPS", DEFAULT_STEPS)
        return cls(name, summary(module), settings, compiled, steps, _lone_action(graph))

    async def __call__(self, ctx: Context) -> None:
        """Run to the end in `ctx`; the answer is what was proposed last.

        A graph of one node does not need LangGraph's engine, which costs more than everything else in a run of one call
        (benchmarks/orchestration.py).
        """
        if self.lone is not None:
            await self.lone({}, ctx)
            return
        try:
            await self.compiled.ainvoke({}, {"recursion_limit": self.steps}, context=ctx)
        except GraphRecursionError as error:
            sentence = f"The graph {self.name} did not end within {self.steps} steps: raise its STEPS or let it end."
            raise MaieuticError(sentence) from error

    def mermaid(self) -> str:
        """The graph as Mermaid text."""
        return str(self.compiled.get_graph().draw_mermaid(with_styles=False))


def _lone_action(graph: "StateGraph[Any, Context, Any, Any]") -> Action | None:
    """The action of the only node, speaking from it; None where there are several, or a node of another make."""
    if len(graph.nodes) != 1 or graph.branches or len(graph.edges) != 2:
        return None
    [(name, node)] = graph.nodes.items()
    action = (node.metadata or {}).get("action")
    if action is None:
        return None

    async def run(state: Any, ctx: Context) -> dict[str, Any]:
        update: dict[str, Any] = await action(state, ctx.at(name))
        return update

    return run


def summary(module: ModuleType) -> str:
    return (module.__doc__ or "").strip().split("\n", 1)[0]


def _explain(name: str, error: ValidationError, settings: type[BaseModel]) -> str:
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    known = ", ".join(settings.model_fields) or "none"
    if first["type"] == "extra_forbidden":
        return f"Graph {name} has no setting {field!r}. Its settings: {known}."
    return f"Graph {name}, setting {field!r}: {first['msg']}. Its settings: {known}."
