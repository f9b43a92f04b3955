"""Graphs by name: the shipped ones, registered ones, entry points, a dotted path, or a path to a file."""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from maieutic.errors import ConfigError, UnknownName
from maieutic.graphs.graph import Graph, Module, summary
from maieutic.graphs.wired import load_wired

SHIPPED = (
    "cascade",
    "code_and_tests",
    "code_interpreter",
    "controller",
    "critique",
    "debate",
    "deconstruct",
    "deep_research",
    "deepening",
    "direct",
    "long_short",
    "mrag",
    "peers",
    "planner",
    "reflect",
    "rethink",
    "round_table",
    "self_consistency",
    "self_rag",
    "sim_rag",
    "speculative",
    "sql_explore",
    "strategist",
    "three_ways",
    "tool_loop",
    "tree",
)
ENTRY_POINTS = "maieutic.graphs"

_registered: dict[str, Module] = {}


def register_graph(name: str, module: Module) -> None:
    """Make an own graph module known under `name` in this process."""
    _check(name, module)
    _registered[name] = module


def graph_names() -> list[str]:
    return sorted({*SHIPPED, *_registered, *(e.name for e in entry_points(group=ENTRY_POINTS))})


def describe_graphs() -> dict[str, str]:
    """Every graph's name and its one-line summary."""
    return {name: summary(find_module(name)) for name in graph_names()}


def load_graph(name: str, settings: Mapping[str, Any] | None = None) -> Graph:
    """The graph called `name`, compiled with `settings`.

    `name` is a known name, a dotted path to a module (`my_package.my_graph`) or a path to a file (`./my_graph.py`, or
    `./my_graph.yaml`).
    Raises UnknownName, or ConfigError where the file or a setting is wrong.
    """
    return Graph.of(name, find_module(name), settings or {})


def find_module(name: str) -> Module:
    if name in _registered:
        return _registered[name]
    if name in SHIPPED:
        return importlib.import_module(f"maieutic.graphs.{name}")
    if name.endswith(".py"):
        return _from_file(Path(name))
    if name.endswith((".yaml", ".yml")):
        return _from_yaml(Path(name))
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == name:
            return _check(name, entry.load())
    if "." in name:
        return _from_dotted(name)
    raise UnknownName("graph", name, graph_names())


def _from_file(path: Path) -> Module:
    if not path.is_file():
        raise ConfigError(f"There is no graph file {path}: check the path, or name a known graph.")
    unique = hashlib.blake2b(str(path.resolve()).encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
    spec = importlib.util.spec_from_file_location(f"maieutic_graph_{path.stem}_{unique}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where annotations that are text are looked up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[spec.name]
        raise ConfigError(f"The graph file {path} can't be loaded: {type(error).__name__}: {error}.") from error
    return _check(str(path), module)


def _from_yaml(path: Path) -> Module:
    if not path.is_file():
        raise ConfigError(f"There is no graph file {path}: check the path, or name a known graph.")
    return load_wired(path, load_graph)


def _from_dotted(name: str) -> Module:
    try:
        return _check(name, importlib.import_module(name))
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(f"The graph module {name} can't be imported: {error}.") from error
        raise UnknownName("graph", name, graph_names()) from None


def _check(name: str, module: Module) -> Module:
    missing = [part for part in ("Settings", "build") if not hasattr(module, part)]
    if missing:
        raise ConfigError(f"{name} is not a graph: it needs {' and '.join(missing)} (see docs/graphs/README.md).")
    return module
