"""The wiring of a graph in a YAML file, and what can be wrong with it: found before it runs, with place and hint."""

from collections.abc import Iterable
from difflib import get_close_matches

from pydantic import Field

from maieutic.graphs.conditions import read_condition
from maieutic.graphs.nodes import FACTS, KINDS
from maieutic.settings import Location, Strict

ALWAYS = frozenset({"visit"})


class Problem(Exception):
    """Something wrong with a wiring, and where."""

    def __init__(self, location: Location, sentence: str) -> None:
        super().__init__(sentence)
        self.location = location


class NodeEntry(Strict):
    """A node: which of the catalogue's it is, and with which options."""

    use: str
    with_: dict[str, object] = Field(default={}, alias="with")


class Edge(Strict):
    """An edge, taken when its condition holds, and not more often than `at_most` times in a run."""

    from_: str = Field(alias="from")
    to: str
    when: str | None = None
    at_most: int | None = Field(default=None, ge=1, le=1000)


class Wiring(Strict):
    """A whole file."""

    summary: str = Field(min_length=1)
    nodes: dict[str, NodeEntry] = Field(min_length=1)
    edges: list[Edge] = Field(min_length=1)

    def after(self, name: str) -> list[Edge]:
        return [edge for edge in self.edges if edge.from_ == name]

    @property
    def first(self) -> str:
        return self.after("start")[0].to

    @property
    def steps(self) -> int:
        """The most nodes that a run can visit: between two takings of bounded edges no node comes twice."""
        return len(self.nodes) * (1 + sum(edge.at_most or 0 for edge in self.edges)) + 1


def check(wiring: Wiring) -> None:
    """Raise Problem for unknown names, dead ends, loops without a bound, and nodes that lack what they take."""
    _names(wiring)
    _ways(wiring)
    _reached(wiring)
    _loops(wiring)
    _taken(wiring)


def close(name: str, known: Iterable[str]) -> str:
    """What was meant, and what there is, as the end of a sentence."""
    known = sorted(known)
    found = get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f", did you mean {found[0]!r}" if found else ""
    return f"{meant}; known: {', '.join(known)}"


def _names(wiring: Wiring) -> None:
    for i, edge in enumerate(wiring.edges):
        if edge.from_ != "start" and edge.from_ not in wiring.nodes:
            raise Problem(("edges", i, "from"), f"there is no node {edge.from_!r}{close(edge.from_, wiring.nodes)}")
        if edge.to != "end" and edge.to not in wiring.nodes:
            raise Problem(("edges", i, "to"), f"there is no node {edge.to!r}{close(edge.to, [*wiring.nodes, 'end'])}")


def _ways(wiring: Wiring) -> None:
    starts = [i for i, edge in enumerate(wiring.edges) if edge.from_ == "start"]
    if len(starts) != 1 or wiring.edges[starts[0]].when or wiring.edges[starts[0]].at_most:
        where: Location = ("edges", starts[-1]) if starts else ("edges",)
        raise Problem(where, "a graph begins with one edge {from: start, to: NODE} without a condition")
    for name in wiring.nodes:
        ways = [(i, edge) for i, edge in enumerate(wiring.edges) if edge.from_ == name]
        if not ways:
            raise Problem(("nodes", name), f"nothing follows {name}: add an edge {{from: {name}, to: end}}")
        for place, (i, edge) in enumerate(ways):
            last, open_ = place == len(ways) - 1, edge.when is None and edge.at_most is None
            if last and not open_:
                raise Problem(("edges", i), f"where this edge of {name} is not taken nothing follows: add another one")
            if open_ and not last:
                raise Problem(
                    ("edges", ways[place + 1][0]), f"this edge of {name} is never taken: the one before it is"
                )


def _reached(wiring: Wiring) -> None:
    seen, agenda = {"start"}, ["start"]
    while agenda:
        for edge in wiring.after(agenda.pop()):
            if edge.to not in seen:
                seen.add(edge.to)
                agenda.append(edge.to)
    for name in wiring.nodes:
        if name not in seen:
            raise Problem(("nodes", name), f"no edge leads to {name}: add one, or take the node out")
    if "end" not in seen:
        raise Problem(("edges",), "no edge leads to the end: add one with to: end")


def _loops(wiring: Wiring) -> None:
    """Without the bounded edges there must be no way from a node back to itself."""
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        for i, edge in enumerate(wiring.edges):
            if edge.from_ != name or edge.at_most is not None or edge.to in done or edge.to == "end":
                continue
            if edge.to in (*path, name):
                raise Problem(("edges", i), "this edge closes a loop that nothing bounds: give it at_most: 3, say")
            walk(edge.to, (*path, name))
        done.add(name)

    walk("start", ())


def _taken(wiring: Wiring) -> None:
    """Every node finds on the board what it takes, whichever way it is reached; every condition does on some way."""
    surely, maybe = _boards(wiring)
    for name, entry in wiring.nodes.items():
        for need in KINDS[entry.use].takes:
            if need not in surely[name]:
                givers = ", ".join(sorted(kind for kind, value in KINDS.items() if need in value.gives))
                hint = f"put one of {givers} before it"
                raise Problem(("nodes", name), f"{entry.use} takes {need}, which some way to {name} lacks: {hint}")
    for i, edge in enumerate(wiring.edges):
        found = maybe[edge.from_] | _gives(wiring, edge.from_) | ALWAYS
        asked = read_condition(edge.when, (*FACTS, *ALWAYS)).names if edge.when else frozenset()
        for fact in sorted(asked - found):
            raise Problem(("edges", i, "when"), f"neither {edge.from_} nor a node before it finds {fact}")


def _gives(wiring: Wiring, name: str) -> frozenset[str]:
    return frozenset(KINDS[wiring.nodes[name].use].gives) if name in wiring.nodes else frozenset()


def _boards(wiring: Wiring) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """What is on the board before each node: on every way to it, and on some way."""
    everything = frozenset(name for kind in KINDS.values() for name in kind.gives)
    surely = dict.fromkeys(wiring.nodes, everything) | {"start": frozenset[str]()}
    maybe: dict[str, frozenset[str]] = dict.fromkeys([*wiring.nodes, "start"], frozenset())
    for _ in range(len(wiring.nodes) * len(everything) + 1):
        for name in wiring.nodes:
            before = [edge.from_ for edge in wiring.edges if edge.to == name]
            surely[name] = frozenset.intersection(*(surely[b] | _gives(wiring, b) for b in before))
            maybe[name] = frozenset.union(*(maybe[b] | _gives(wiring, b) for b in before))
    return surely, maybe
