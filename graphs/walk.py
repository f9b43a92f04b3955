"""Walking a graph that is one line of nodes, without LangGraph's engine, which costs more than the nodes' own work.

Which graphs these are is read from the `StateGraph` itself: every node was added by `add_node`, one node at a time is
active, and a later value of a state's field replaces the earlier one. Everything else is left to LangGraph.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from langgraph.channels import LastValue
from langgraph.graph import END, START, StateGraph

from maieutic.context import Context

Action = Callable[[Any, Context], Awaitable[dict[str, Any]]]
Next = Callable[[dict[str, Any]], str]


class TooManySteps(Exception):
    """The walk did not end within its bound."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A graph's nodes by name, and what follows each of them and the start."""

    actions: Mapping[str, Action]
    after: Mapping[str, Next]

    async def __call__(self, ctx: Context, steps: int) -> None:
        """Run from the start to the end. Raises TooManySteps where that takes more than `steps` nodes."""
        state: dict[str, Any] = {}
        node = self.after[START](state)
        for _ in range(steps):
            if node == END:
                return
            state.update(await self.actions[node](dict(state), ctx.at(node)) or {})
            node = self.after[node](state)
        if node != END:
            raise TooManySteps


def walk_of(graph: "StateGraph[Any, Context, Any, Any]") -> Walk | None:
    """The graph as a walk; None where it is more than that."""
    if graph.waiting_edges or not all(type(channel) is LastValue for channel in graph.channels.values()):
        return None
    actions: dict[str, Action] = {}
    for name, node in graph.nodes.items():
        action = (node.metadata or {}).get("action")
        special = (node.retry_policy, node.cache_policy, node.ends, node.defer, node.timeout, node.error_handler_node)
        if action is None or any(special):
            return None
        actions[name] = action
    after = {name: _next(graph, name) for name in (START, *actions)}
    followers = {name: follower for name, follower in after.items() if follower is not None}
    return Walk(actions, followers) if len(followers) == len(after) else None


def _next(graph: "StateGraph[Any, Context, Any, Any]", name: str) -> Next | None:
    """What follows a node, where that is one node or the end."""
    targets = [target for source, target in graph.edges if source == name]
    branches = list(graph.branches.get(name, {}).values())
    if len(targets) + len(branches) != 1:
        return None
    if targets:
        return lambda state: targets[0]
    [branch] = branches
    choose, ends = getattr(branch.path, "func", None), branch.ends
    if choose is None or not ends or not _names_one(choose):
        return None
    return lambda state: ends[choose(dict(state))]


def _names_one(choose: Callable[..., Any]) -> bool:
    """Whether a condition says that it names one node: another may name several, which are then active at once."""
    said = getattr(choose, "__annotations__", {}).get("return")
    return said in (str, "str", bool, "bool") or str(said).startswith(("typing.Literal", "Literal["))
