"""Graphs of a single node, for tests of what is done in it."""

from langgraph.graph import END, START

from maieutic.graphs.graph import Graph, GraphSettings
from maieutic.graphs.walk import Action, Walk


def one_node(name: str, action: Action) -> Graph:
    walk = Walk({name: action}, {START: lambda state: name, name: lambda state: END})
    return Graph(name, f"Only {name}.", GraphSettings(), None, 10, walk)
