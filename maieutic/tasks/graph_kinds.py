"""Questions about a graph: what is asked, the right answer by networkx, and how an answer is compared with it.

The kinds follow G1 (Guo et al. 2025, arXiv 2505.18499), whose tasks are all computed by networkx. Answers are numbers,
yes or no, sets, which are graded by the share that both have (Jaccard), or something that several answers can be, such
as a path, which is then checked by what it has to be.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random
from typing import Any, Literal

EXACT = "Give a fraction, or four decimals."
MOSTLY = 0.8  # of the questions whose answer is 0 are left out

Grading = Literal["number", "boolean", "nodes", "edges", "path", "order", "hamiltonian", "independent"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a graph and its right answer; `facts` is what an answer is checked by, beside the edges."""

    question: str
    gold: Any
    grading: Grading
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kind:
    """`ask` gives None where this graph is of no use for the question. `shape` changes the graph first, where graphs
    as they come have nearly always the same answer; where that is yes or no, it is told which of them is wanted."""

    ask: Callable[[Any, Random], Asked | None]
    shape: Callable[[Any, bool, Random], None] | None = None
    directed: bool = False
    weighted: bool = False
    acyclic: bool = False


def _yes_or_no(question: str, truth: bool) -> Asked:
    return Asked(f"{question} Answer yes or no.", "yes" if truth else "no", "boolean")


def halve(graph: Any, wanted: bool, rng: Random) -> None:
    """Two parts without edges inside them; not bipartite, where that is wanted, by a single edge at best."""
    left = set(rng.sample(sorted(graph.nodes), len(graph) // 2))
    inside = [(a, b) for a, b in sorted(graph.edges) if (a in left) == (b in left)]
    rng.shuffle(inside)
    graph.remove_edges_from(inside)
    for edge in [] if wanted else inside:
        graph.add_edge(*edge)
        if not _bipartite(graph):
            break


def straighten(graph: Any, wanted: bool, rng: Random) -> None:
    """All edges along one order of the nodes; a cycle, where that is wanted, by a few edges turned round."""
    place = {node: at for at, node in enumerate(rng.sample(sorted(graph.nodes), len(graph)))}
    edges = sorted(graph.edges)
    graph.remove_edges_from(edges)
    graph.add_edges_from(sorted(edge, key=lambda node: place[node]) for edge in edges)
    for a, b in rng.sample(edges, len(edges)) if wanted else []:
        if _cyclic(graph):
            break
        a, b = (a, b) if graph.has_edge(a, b) else (b, a)
        graph.remove_edge(a, b)
        graph.add_edge(b, a)


def thin(graph: Any, wanted: bool, rng: Random) -> None:
    """Nearly half of the edges less."""
    graph.remove_edges_from([edge for edge in sorted(graph.edges) if rng.random() < 0.45])


def _bipartite(graph: Any) -> bool:
    import networkx as nx

    return bool(nx.is_bipartite(graph))


def _cyclic(graph: Any) -> bool:
    import networkx as nx

    return not nx.is_directed_acyclic_graph(graph)


def _two(graph: Any, rng: Random) -> tuple[int, int]:
    a, b = rng.sample(sorted(graph.nodes), 2)
    return a, b


def reachable(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    a, b = _two(graph, rng)
    return _yes_or_no(f"Is there a path from {a} to {b}?", nx.has_path(graph, a, b))


def bipartite(graph: Any, rng: Random) -> Asked | None:
    return _yes_or_no("Is the graph bipartite?", _bipartite(graph))


def cycle(graph: Any, rng: Random) -> Asked | None:
    return _yes_or_no("Does the graph contain a directed cycle?", _cyclic(graph))


def highest_degree(graph: Any, rng: Random) -> Asked | None:
    most = max(degree for _, degree in graph.degree)
    nodes = sorted(node for node, degree in graph.degree if degree == most)
    return Asked("Which nodes have the highest degree? Give all of them.", nodes, "nodes")


def components(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    return Asked("How many connected components does the graph have?", nx.number_connected_components(graph), "number")


def triangles(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    corners: Any = nx.triangles(graph)
    number = sum(corners.values()) // 3
    if number == 0 and rng.random() < MOSTLY:
        return None
    return Asked("How many triangles does the graph contain?", number, "number")


def diameter(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    if not nx.is_connected(graph):
        return None
    return Asked("What is the diameter of the graph (the longest of all shortest paths, in edges)?",
                 nx.diameter(graph), "number")  # fmt: skip


def distance(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    a, b = _two(graph, rng)
    if not nx.has_path(graph, a, b) or graph.has_edge(a, b):
        return None
    length = nx.dijkstra_path_length(graph, a, b)
    return Asked(f"What is the total weight of a lightest path from {a} to {b}?", length, "number")


def shortest_path(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    a, b = _two(graph, rng)
    if not nx.has_path(graph, a, b) or graph.has_edge(a, b):
        return None
    path = nx.dijkstra_path(graph, a, b)
    best = nx.path_weight(graph, path, "weight")
    question = f"Give a lightest path from {a} to {b}, as the list of its nodes."
    return Asked(question, path, "path", {"source": a, "target": b, "best": best})


def spanning_tree(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    if not nx.is_connected(graph):
        return None
    weight = int(nx.minimum_spanning_tree(graph).size(weight="weight"))
    return Asked("What is the total weight of a minimum spanning tree?", weight, "number")


def maximum_flow(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    a, b = _two(graph, rng)
    flow = nx.maximum_flow_value(graph, a, b, capacity="weight")
    if not flow:
        return None
    return Asked(f"Weights are capacities. What is the maximum flow from {a} to {b}?", flow, "number")


def maximum_clique(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    largest = max(len(clique) for clique in nx.find_cliques(graph))
    return Asked("How many nodes does a largest clique have?", largest, "number")


def maximum_matching(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    size = len(nx.max_weight_matching(graph, maxcardinality=True))
    return Asked("How many edges does a maximum matching have?", size, "number")


def strong_components(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    number = nx.number_strongly_connected_components(graph)
    return Asked("How many strongly connected components does the graph have?", number, "number")


def clustering(graph: Any, rng: Random) -> Asked | None:
    node = rng.choice(sorted(graph.nodes))
    neighbours = sorted(graph.neighbors(node))
    linked = sum(graph.has_edge(a, b) for a in neighbours for b in neighbours if a < b)
    if len(neighbours) < 2 or (linked == 0 and rng.random() < MOSTLY):
        return None
    pairs = len(neighbours) * (len(neighbours) - 1) // 2
    question = (
        f"What is the clustering coefficient of {node}, the share of pairs of its neighbours that are linked? {EXACT}"
    )
    return Asked(question, str(Fraction(linked, pairs)), "number")


def jaccard(graph: Any, rng: Random) -> Asked | None:
    a, b = _two(graph, rng)
    first, second = set(graph.neighbors(a)), set(graph.neighbors(b))
    if not first & second:
        return None
    question = f"What is the Jaccard coefficient of the neighbours of {a} and {b}? {EXACT}"
    return Asked(question, str(Fraction(len(first & second), len(first | second))), "number")


def common_neighbours(graph: Any, rng: Random) -> Asked | None:
    a, b = _two(graph, rng)
    common = sorted(set(graph.neighbors(a)) & set(graph.neighbors(b)))
    return Asked(f"Which nodes are neighbours of both {a} and {b}?", common, "nodes") if common else None


def articulation_points(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    nodes = sorted(nx.articulation_points(graph))
    question = "Which nodes are articulation points (without one of them the graph has more components)?"
    return Asked(question, nodes, "nodes") if nodes else None


def bridges(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    edges = sorted(sorted(edge) for edge in nx.bridges(graph))
    question = "Which edges are bridges (without one of them the graph has more components)?"
    return Asked(question, edges, "edges") if edges else None


def center(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    if not nx.is_connected(graph):
        return None
    return Asked("Which nodes are in the centre (their farthest node is nearest)?", sorted(nx.center(graph)), "nodes")


def descendants(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    node = rng.choice(sorted(graph.nodes))
    found = sorted(nx.descendants(graph, node))
    return Asked(f"Which nodes can be reached from {node} (without itself)?", found, "nodes") if found else None


def topological_order(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    question = "Give a topological order of all nodes (every edge leads from an earlier to a later one)."
    return Asked(question, list(nx.lexicographical_topological_sort(graph)), "order")


def hamiltonian_path(graph: Any, rng: Random) -> Asked | None:
    order = rng.sample(sorted(graph.nodes), len(graph))
    graph.add_edges_from(zip(order, order[1:], strict=False))  # planted, so that there is one
    return Asked("Give a path that visits every node exactly once, as the list of its nodes.", order, "hamiltonian")


def independent_set(graph: Any, rng: Random) -> Asked | None:
    import networkx as nx

    best = max(nx.find_cliques(nx.complement(graph)), key=len)
    question = "Give a largest independent set (no two of its nodes are linked)."
    return Asked(question, sorted(best), "independent", {"best": len(best)})


KINDS = {
    "articulation_points": Kind(articulation_points),
    "bipartite": Kind(bipartite, halve),
    "bridges": Kind(bridges),
    "center": Kind(center),
    "clustering": Kind(clustering),
    "common_neighbours": Kind(common_neighbours),
    "components": Kind(components, thin),
    "cycle": Kind(cycle, straighten, directed=True),
    "descendants": Kind(descendants, directed=True),
    "diameter": Kind(diameter),
    "distance": Kind(distance, weighted=True),
    "hamiltonian_path": Kind(hamiltonian_path),
    "highest_degree": Kind(highest_degree),
    "independent_set": Kind(independent_set),
    "jaccard": Kind(jaccard),
    "maximum_clique": Kind(maximum_clique),
    "maximum_flow": Kind(maximum_flow, directed=True, weighted=True),
    "maximum_matching": Kind(maximum_matching),
    "reachable": Kind(reachable, directed=True),
    "shortest_path": Kind(shortest_path, weighted=True),
    "spanning_tree": Kind(spanning_tree, weighted=True),
    "strong_components": Kind(strong_components, directed=True),
    "topological_order": Kind(topological_order, directed=True, acyclic=True),
    "triangles": Kind(triangles),
}
