"""The `Graph` noun: who speaks when, a LangGraph `StateGraph` made by `build(settings)`, one file a workflow.

A graph file has a docstring (its first line is the summary), a pydantic class `Settings`, and `build(settings)` that
returns a `StateGraph` whose context is a `maieutic.context.Context`. `STEPS` bounds its supersteps where the default
is too low. `NEEDS` names the tools that it can't do without, as `("retrieve",)` or, where one of several will do,
`("retrieve|search",)`. `cast(settings)` names the roles that agents' names don't show, each with the model that
the settings give it or None. Nodes are added with `add_node` below.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from langgraph.errors import GraphRecursionError
from langgraph.graph import StateGraph
from langgraph.runtime import Runtime
from pydantic import BaseModel, ConfigDict, ValidationError

from maieutic.context import Context
from maieutic.errors import ConfigError, MaieuticError, UserError
from maieutic.graphs.walk import Action, TooManySteps, Walk, walk_of

DEFAULT_STEPS = 64


Module = Any
"""A graph module, or what has its parts: a docstring, `Settings`, `build`, and perhaps `STEPS`, `NEEDS` and `cast`."""


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
    """A workflow, compiled with its settings; safe to run many times and concurrently. `needs` is its `NEEDS`, `cast`
    what its `cast` says of its roles: the name of a role's own model, or None for the run's."""

    name: str
    summary: str
    settings: GraphSettings
    compiled: Any
    steps: int
    walk: Walk | None = None
    needs: tuple[str, ...] = ()
    cast: Mapping[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, module: Module, values: Mapping[str, Any]) -> "Graph":
        """Build the graph of a module; raises ConfigError for a setting it does not have or that has a wrong value."""
        try:
            settings = module.Settings.model_validate(dict(values))
        except ValidationError as error:
            raise ConfigError(_explain(name, error, module.Settings)) from None
        graph = module.build(settings)
        compiled = graph.compile(name=name)
        steps = getattr(module, "STEPS", DEFAULT_STEPS)
        needs = tuple(getattr(module, "NEEDS", ()))
        cast = module.cast(settings) if hasattr(module, "cast") else {}
        return cls(name, summary(module), settings, compiled, steps, walk_of(graph), needs, cast)

    async def __call__(self, ctx: Context) -> None:
        """Run to the end in `ctx`; the answer is what was proposed last.

        Where one node follows another, LangGraph's engine is not needed: it would cost more than everything else in a
        run of few calls (benchmarks/orchestration.py).
        """
        try:
            if self.walk is not None:
                await self.walk(ctx, self.steps)
            else:
                await self.compiled.ainvoke({}, {"recursion_limit": self.steps}, context=ctx)
        except (GraphRecursionError, TooManySteps) as error:
            sentence = f"The graph {self.name} did not end within {self.steps} steps: raise its STEPS or let it end."
            raise MaieuticError(sentence) from error

    def refuse_without(self, tools: Container[str]) -> None:
        """Raise UserError where a tool that it needs is not among the run's `tools`."""
        for need in self.needs:
            names = need.split("|")
            if not any(name in tools for name in names):
                wanted = " or ".join(names)
                raise UserError(
                    f"The graph {self.name} needs the tool {wanted}: give the run one, with --tool or tools=[…]."
                )

    def mermaid(self) -> str:
        """The graph as Mermaid text."""
        return str(self.compiled.get_graph().draw_mermaid(with_styles=False))


def summary(module: Module) -> str:
    return (module.__doc__ or "").strip().split("\n", 1)[0]


def _explain(name: str, error: ValidationError, settings: type[BaseModel]) -> str:
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    known = ", ".join(settings.model_fields) or "none"
    if first["type"] == "extra_forbidden":
        return f"Graph {name} has no setting {field!r}. Its settings: {known}."
    return f"Graph {name}, setting {field!r}: {first['msg']}. Its settings: {known}."
