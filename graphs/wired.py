"""Wired graphs: own workflows as YAML files, made of the catalogue's nodes, checked before they run.

    summary: Sample, and repair what few agree on.
    nodes:
      draft: {use: sample, with: {n: 5}}
      check: {use: criticise}
      fix: {use: repair}
    edges:
      - {from: start, to: draft}
      - {from: draft, to: end, when: share >= 0.8}
      - {from: draft, to: check}
      - {from: check, to: fix, when: accepts == false, at_most: 2}
      - {from: check, to: end}
      - {from: fix, to: check}

Of a node's edges the first is taken whose condition holds and that was not taken `at_most` times yet.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import ValidationError, create_model

from maieutic.context import Context
from maieutic.errors import ConfigError
from maieutic.graphs.conditions import Condition, read_condition
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.graphs.nodes import FACTS, KINDS, Load, Work
from maieutic.graphs.wiring import Edge, Problem, Wiring, check, close
from maieutic.settings import Location, line_of, load_yaml


class State(TypedDict, total=False):
    board: dict[str, Any]
    visits: dict[str, int]
    taken: dict[str, int]
    next: str


Build = Callable[[Any], "StateGraph[State, Context, State, State]"]


class Wired:
    """A wired graph in the shape of a graph module. `STEPS` follows from the bounds on its loops."""

    def __init__(self, wiring: Wiring, settings: type[GraphSettings], build: Build, needs: tuple[str, ...]) -> None:
        self.__doc__ = wiring.summary
        self.Settings = settings
        self.build = build
        self.STEPS = wiring.steps
        self.NEEDS = needs


def load_wired(path: Path, load: Load) -> Wired:
    """The graph that a YAML file describes; `load` finds the graphs that its nodes name.

    Raises ConfigError with file, line and what to do for anything that would go wrong when it runs.
    """
    wiring = load_yaml(path, Wiring)
    complain = partial(_complain, path)
    options = {name: _options(wiring, name, complain) for name in wiring.nodes}
    conditions = [_condition(wiring, i, complain) for i in range(len(wiring.edges))]
    try:
        check(wiring)
    except Problem as problem:
        complain(problem.location, str(problem))
    graphs = [entry for entry in options.values() if hasattr(entry, "name")]
    needs = tuple(dict.fromkeys(need for entry in graphs for need in load(entry.name, entry.settings).needs))
    fields: dict[str, Any] = {name: (type(entry), entry) for name, entry in options.items()}
    settings = create_model("Settings", __base__=GraphSettings, **fields)
    build = partial(_build, wiring=wiring, conditions=conditions, load=load)
    return Wired(wiring, settings, build, needs)


def _complain(path: Path, location: Location, sentence: str) -> NoReturn:
    line = line_of(path.read_text(encoding="utf-8"), location)
    raise ConfigError(f"{path}, line {line}: {sentence}.")


def _options(wiring: Wiring, name: str, complain: Callable[[Location, str], NoReturn]) -> Any:
    entry = wiring.nodes[name]
    if not name.isidentifier() or name in ("start", "end"):
        complain(("nodes", name), f"{name!r} can't be a node's name: use letters, digits and _, and not start or end")
    if entry.use not in KINDS:
        complain(("nodes", name, "use"), f"there is no node {entry.use!r}{close(entry.use, KINDS)}")
    kind = KINDS[entry.use]
    try:
        return kind.options.model_validate(entry.with_)
    except ValidationError as error:
        first = error.errors()[0]
        where = ("nodes", name, "with", *first["loc"])
        known = kind.options.model_fields
        if first["type"] == "extra_forbidden":
            complain(where, f"{entry.use} has no option {first['loc'][0]!r}{close(str(first['loc'][0]), known)}")
        message = first["msg"]
        complain(where, f"option {first['loc'][0]!r} of {entry.use}: {message[:1].lower()}{message[1:]}")


def _condition(wiring: Wiring, i: int, complain: Callable[[Location, str], NoReturn]) -> Condition | None:
    text = wiring.edges[i].when
    if text is None:
        return None
    try:
        return read_condition(text, (*FACTS, "visit"))
    except ValueError as error:
        complain(("edges", i, "when"), str(error))


def _build(
    settings: Any, wiring: Wiring, conditions: list[Condition | None], load: Load
) -> "StateGraph[State, Context, State, State]":
    graph = StateGraph(State, context_schema=Context)
    for name, entry in wiring.nodes.items():
        work = KINDS[entry.use].make(getattr(settings, name), load)
        add_node(graph, name, partial(_visit, name=name, work=work, wiring=wiring, conditions=conditions))
        targets = [_lang(edge.to) for edge in wiring.after(name)]
        graph.add_conditional_edges(name, _next, list(dict.fromkeys(targets)))
    graph.add_edge(START, wiring.first)
    return graph


async def _visit(
    state: State, ctx: Context, *, name: str, work: Work, wiring: Wiring, conditions: list[Condition | None]
) -> dict[str, Any]:
    """Do a node's work, put what it found on the board, and choose the edge."""
    visits = {**state.get("visits", {}), name: state.get("visits", {}).get(name, 0) + 1}
    board = {**state.get("board", {}), "visit": visits[name]}
    board |= await work(board, ctx)
    taken = dict(state.get("taken", {}))
    for i, edge in enumerate(wiring.edges):
        condition, count = conditions[i], taken.get(str(i), 0)
        if edge.from_ != name or (edge.at_most is not None and count >= edge.at_most):
            continue
        if condition is not None and not condition.holds(board):
            continue
        taken[str(i)] = count + 1
        _tell(ctx, edge, condition, board)
        return {"board": board, "visits": visits, "taken": taken, "next": _lang(edge.to)}
    raise AssertionError("the last edge of a node is always open")


def _tell(ctx: Context, edge: Edge, condition: Condition | None, board: dict[str, Any]) -> None:
    if condition is not None:
        ctx.gate(condition.text, edge.to, **{name: board.get(name) for name in sorted(condition.names)})


def _next(state: State) -> str:
    return state["next"]


def _lang(name: str) -> str:
    return END if name == "end" else name
