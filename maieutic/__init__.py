"""Maieutic: graph-defined reasoning agents, exactly recorded. The names below are the whole public front door.

They are loaded at their first use, so that importing the package stays cheap and has no effect.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maieutic.agents.registry import register_agent
    from maieutic.budget import Budget
    from maieutic.collector import collect
    from maieutic.context import Context
    from maieutic.errors import (
        BudgetExceeded,
        ConfigError,
        MaieuticError,
        MissingExtra,
        ModelError,
        TaskError,
        ToolError,
        TraceError,
        UnknownName,
        UserError,
    )
    from maieutic.events import Event
    from maieutic.graphs.registry import load_graph, register_graph
    from maieutic.llm.scripted import ScriptedModel
    from maieutic.recipes.export import export
    from maieutic.runner import Result, arun, as_node, run, stream
    from maieutic.tasks.task import Task
    from maieutic.tasks.verifier import verifier as register_verifier
    from maieutic.tools.registry import register_tool
    from maieutic.trace.reader import TraceReader
    from maieutic.types import Outcome, Sampling

_HOMES = {
    "Budget": "maieutic.budget",
    "BudgetExceeded": "maieutic.errors",
    "ConfigError": "maieutic.errors",
    "Context": "maieutic.context",
    "Event": "maieutic.events",
    "MaieuticError": "maieutic.errors",
    "MissingExtra": "maieutic.errors",
    "ModelError": "maieutic.errors",
    "Outcome": "maieutic.types",
    "Result": "maieutic.runner",
    "Sampling": "maieutic.types",
    "ScriptedModel": "maieutic.llm.scripted",
    "Task": "maieutic.tasks.task",
    "TaskError": "maieutic.errors",
    "ToolError": "maieutic.errors",
    "TraceError": "maieutic.errors",
    "TraceReader": "maieutic.trace.reader",
    "UnknownName": "maieutic.errors",
    "UserError": "maieutic.errors",
    "arun": "maieutic.runner",
    "as_node": "maieutic.runner",
    "collect": "maieutic.collector",
    "export": "maieutic.recipes.export",
    "load_graph": "maieutic.graphs.registry",
    "register_agent": "maieutic.agents.registry",
    "register_graph": "maieutic.graphs.registry",
    "register_tool": "maieutic.tools.registry",
    "register_verifier": "maieutic.tasks.verifier:verifier",
    "run": "maieutic.runner",
    "stream": "maieutic.runner",
}

__all__ = [
    "Budget",
    "BudgetExceeded",
    "ConfigError",
    "Context",
    "Event",
    "MaieuticError",
    "MissingExtra",
    "ModelError",
    "Outcome",
    "Result",
    "Sampling",
    "ScriptedModel",
    "Task",
    "TaskError",
    "ToolError",
    "TraceError",
    "TraceReader",
    "UnknownName",
    "UserError",
    "arun",
    "as_node",
    "collect",
    "export",
    "load_graph",
    "register_agent",
    "register_graph",
    "register_tool",
    "register_verifier",
    "run",
    "stream",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'maieutic' has no attribute {name!r}")
    home, _, attribute = _HOMES[name].partition(":")
    value = getattr(importlib.import_module(home), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
