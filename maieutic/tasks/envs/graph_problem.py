"""`env:graph_problem`: questions about graphs given as lists of edges, of 24 kinds (`env:graph_problem/shortest_path`).

After G1 / Erdos (Guo et al. 2025, arXiv 2505.18499): graphs of 5 to 35 nodes as text, four levels, gold answers by
networkx, sets graded by Jaccard, paths and the like by a program. Deviations: G1 cuts its graphs out of real networks,
these are drawn from four models of random graphs; 24 of its 50 kinds or close to them.
"""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations
from random import Random
from typing import Any, Literal

from pydantic import Field, field_validator

from maieutic.errors import MissingExtra
from maieutic.tasks.generated import Draft, Knobs, generated, instance_of
from maieutic.tasks.graph_kinds import KINDS, Asked, Grading, Kind
from maieutic.tasks.numbers import parse_number
from maieutic.tasks.scalars import boolean_key
from maieutic.tasks.task import AnswerType, Task
from maieutic.tasks.verifier import verifier
from maieutic.types import Outcome, Verdict

TRIES = 50
_NODES = re.compile(r"[\d\s,;()\[\]{}<>→-]{1,2000}")
_TYPES: dict[Grading, AnswerType] = {
    "number": "number", "boolean": "boolean", "nodes": "set", "edges": "set", "path": "list", "order": "list",
    "hamiltonian": "list", "independent": "set",
}  # fmt: skip
_FORMS: dict[Grading, str] = {
    "number": "NUMBER", "boolean": "yes or no", "nodes": "[NODE, NODE, …]", "edges": "[[NODE, NODE], …]",
    "path": "[NODE, NODE, …]", "order": "[NODE, NODE, …]", "hamiltonian": "[NODE, NODE, …]",
    "independent": "[NODE, NODE, …]",
}  # fmt: skip


class GraphProblem(Knobs):
    kind: str = "any"
    """What is asked; any of them by default."""
    nodes: int = Field(default=7, ge=5, le=35)
    """Nodes at most; at least two thirds of that."""
    density: float = Field(default=1.4, ge=0.8, le=3)
    """Edges for each node."""
    model: Literal["any", "random", "scale_free", "small_world", "geometric"] = "any"
    """Which graphs: uniform (Erdős-Rényi), Barabási-Albert, Watts-Strogatz, near points in a square."""

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind != "any" and kind not in KINDS:
            raise ValueError(f"there is no kind {kind!r}")
        return kind


LEVELS = (GraphProblem(), GraphProblem(nodes=13), GraphProblem(nodes=22), GraphProblem(nodes=34, density=1.6))


@generated("graph_problem", levels=LEVELS, kinds=tuple(KINDS))
def graph_problem(knobs: GraphProblem, rng: Random) -> Draft | None:
    """Graph problems of 24 kinds over an edge list, from components to maximum flow."""
    name = knobs.kind if knobs.kind != "any" else rng.choice(sorted(KINDS))
    kind = KINDS[name]
    wanted = rng.random() < 0.5
    for _ in range(TRIES):  # yes is as often right as no, however rare it is
        graph = _graph(knobs, kind, rng)
        if kind.shape is not None:
            kind.shape(graph, wanted, rng)
        asked = kind.ask(graph, rng)
        if asked is not None and (asked.grading != "boolean" or (asked.gold == "yes") == wanted):
            break
    else:
        return None
    edges = [[a, b, data.get("weight", 1)] for a, b, data in graph.edges(data=True)]
    rng.shuffle(edges)
    instance = {
        "kind": name,
        "grading": asked.grading,
        "nodes": len(graph),
        "edges": edges,
        "directed": kind.directed,
        **asked.facts,
    }
    gold = asked.gold if isinstance(asked.gold, list) else str(asked.gold)
    return Draft(
        _worded(kind, len(graph), edges, asked),
        gold,
        _TYPES[asked.grading],
        instance,
        difficulty=float(len(graph)),
        chance=0.5 if asked.grading == "boolean" else None,
    )


@verifier("graph_problem")
def check(task: Task, answer: str) -> bool | float | Verdict:
    """By the kind of answer: equal, the share of a set that both have, or what a path, order or set has to be."""
    instance = instance_of(task)
    grading: Grading = instance["grading"]
    if grading in ("number", "boolean"):
        return _scalar(task, grading, answer)
    nodes = _numbers(answer)
    if nodes is None or any(node >= instance["nodes"] for node in nodes):
        return Verdict(Outcome.FORMAT_ERROR, None, reason="not a list of nodes of the graph")
    if grading in ("nodes", "edges"):
        return _shared(task, grading, nodes)
    return _PROGRAMS[grading](instance, nodes)


def _scalar(task: Task, grading: Grading, answer: str) -> bool | Verdict:
    if grading == "boolean":
        said = boolean_key(answer)
        if said is None:
            return Verdict(Outcome.FORMAT_ERROR, None, reason="not yes or no")
        return said == boolean_key(str(task.gold))
    number, gold = parse_number(answer), parse_number(str(task.gold))
    if number is None or gold is None:
        return Verdict(Outcome.FORMAT_ERROR, None, reason="not a number")
    if number.value == gold.value:
        return True
    # a fraction that has no short decimal may be given with four digits of it
    return gold.value.denominator > 1 and "." in answer and abs(number.value - gold.value) <= Fraction(1, 20_000)


def _numbers(answer: str) -> list[int] | None:
    if not _NODES.fullmatch(answer.strip()):
        return None
    return [int(number) for number in re.findall(r"\d{1,6}", answer)] or None


def _shared(task: Task, grading: Grading, nodes: Sequence[int]) -> float | Verdict:
    gold: Any = task.gold
    if grading == "nodes":
        return _jaccard(set(nodes), set(gold))
    if len(nodes) % 2:
        return Verdict(Outcome.FORMAT_ERROR, None, reason="not pairs of nodes")
    said = {frozenset(pair) for pair in zip(nodes[::2], nodes[1::2], strict=True)}
    return _jaccard(said, {frozenset(pair) for pair in gold})


def _jaccard(said: set[Any], gold: set[Any]) -> float:
    return len(said & gold) / len(said | gold)


def _weights(instance: dict[str, Any]) -> dict[tuple[int, int], int]:
    weights = {(a, b): weight for a, b, weight in instance["edges"]}
    return weights if instance["directed"] else weights | {(b, a): weight for (a, b), weight in weights.items()}


def _path(instance: dict[str, Any], nodes: Sequence[int]) -> bool:
    """From source to target along edges, and as light as can be."""
    weights, steps = _weights(instance), list(zip(nodes, nodes[1:], strict=False))
    if nodes[0] != instance["source"] or nodes[-1] != instance["target"] or any(step not in weights for step in steps):
        return False
    return sum(weights[step] for step in steps) == int(instance["best"])


def _order(instance: dict[str, Any], nodes: Sequence[int]) -> bool:
    """Every node once, and every edge forwards."""
    place = {node: at for at, node in enumerate(nodes)}
    whole = len(nodes) == len(place) == instance["nodes"]
    return whole and all(place[a] < place[b] for a, b, _ in instance["edges"])


def _hamiltonian(instance: dict[str, Any], nodes: Sequence[int]) -> bool:
    """Every node once, along edges."""
    weights = _weights(instance)
    whole = len(nodes) == len(set(nodes)) == instance["nodes"]
    return whole and all(step in weights for step in zip(nodes, nodes[1:], strict=False))


def _independent(instance: dict[str, Any], nodes: Sequence[int]) -> bool:
    """As many nodes as can be, no two of them linked."""
    weights, chosen = _weights(instance), set(nodes)
    return len(chosen) == instance["best"] and not any(pair in weights for pair in combinations(chosen, 2))


_PROGRAMS: dict[Grading, Callable[[dict[str, Any], Sequence[int]], bool]] = {
    "path": _path,
    "order": _order,
    "hamiltonian": _hamiltonian,
    "independent": _independent,
}


def _graph(knobs: GraphProblem, kind: Kind, rng: Random) -> Any:
    """A random graph whose numbers say nothing of how it was made. Raises MissingExtra without networkx."""
    try:
        import networkx as nx
    except ImportError as error:
        raise MissingExtra("env:graph_problem", "envs") from error
    size = rng.randint(max(5, -(-knobs.nodes * 2 // 3)), knobs.nodes)
    model = knobs.model if knobs.model != "any" else rng.choice(("random", "scale_free", "small_world", "geometric"))
    drawn = _drawn(nx, model, size, knobs.density, rng.randrange(2**32))
    names = rng.sample(range(size), size)
    graph = nx.DiGraph() if kind.directed else nx.Graph()
    graph.add_nodes_from(range(size))
    for a, b in sorted(drawn.edges):
        ends = (names[a], names[b]) if kind.acyclic or rng.random() < 0.5 else (names[b], names[a])
        graph.add_edge(*ends, **({"weight": rng.randint(1, 9)} if kind.weighted else {}))
    return graph


def _drawn(nx: Any, model: str, size: int, density: float, seed: int) -> Any:
    """Edges lead from lower to higher numbers, so that directed as they stand they have no cycle."""
    match model:
        case "scale_free":
            drawn = nx.barabasi_albert_graph(size, max(1, round(density)), seed=seed)
        case "small_world":
            drawn = nx.watts_strogatz_graph(size, 2 * max(1, round(density)), 0.3, seed=seed)
        case "geometric":
            drawn = nx.random_geometric_graph(size, (2 * density / (3.14 * size)) ** 0.5 * 1.1, seed=seed)
        case _:
            drawn = nx.gnm_random_graph(size, round(density * size), seed=seed)
    plain = nx.Graph()
    plain.add_nodes_from(range(size))
    plain.add_edges_from((min(edge), max(edge)) for edge in drawn.edges)
    return nx.DiGraph((a, b) for a, b in (sorted(edge) for edge in plain.edges))


def _worded(kind: Kind, size: int, edges: Sequence[Sequence[int]], asked: Asked) -> str:
    mark = "->" if kind.directed else "-"
    listed = ", ".join(f"{a}{mark}{b}" + (f" ({weight})" if kind.weighted else "") for a, b, weight in edges)
    sort = "A directed" if kind.directed else "An undirected"
    weights = ", each with its weight in brackets" if kind.weighted else ""
    return (
        f"{sort} graph has the nodes 0 to {size - 1} and these edges{weights}: {listed}.\n\n"
        f"{asked.question}\nEnd with: Answer: {_FORMS[asked.grading]}"
    )
