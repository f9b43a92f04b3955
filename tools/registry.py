"""Tools by name: the shipped ones, registered ones, entry points, a dotted path, or NAME@WHAT for one made for it."""

import importlib
from collections.abc import Awaitable, Callable, Iterable
from importlib.metadata import entry_points
from typing import Any

from maieutic.errors import UnknownName, UserError
from maieutic.tools.options import ToolOptions
from maieutic.tools.tool import Tool, tool

SHIPPED = {
    "open_source": "maieutic.tools.retrieval.tools:open_source",
    "python": "maieutic.tools.python:python",
    "retrieve": "maieutic.tools.retrieval.tools:retrieve",
    "sql": "maieutic.tools.sql.tools:sql",
    "sql_schema": "maieutic.tools.sql.tools:sql_schema",
}
MAKERS = {  # NAME@WHAT: called with WHAT
    "open_source": "maieutic.tools.retrieval.tools:source_tool",
    "retrieve": "maieutic.tools.retrieval.tools:retrieval_tool",
    "sql": "maieutic.tools.sql.tools:sql_named",
    "sql_schema": "maieutic.tools.sql.tools:schema_named",
}
ENTRY_POINTS = "maieutic.tools"

_registered: dict[str, Tool] = {}


def register_tool(function: Callable[..., Awaitable[Any]] | Tool) -> Tool:
    """Make a typed async function known as a tool, under its own name; usable as a decorator."""
    made = function if isinstance(function, Tool) else tool(function)
    _registered[made.name] = made
    return made


def tool_names() -> list[str]:
    return sorted({*SHIPPED, *_registered, *(e.name for e in entry_points(group=ENTRY_POINTS))})


async def load_tools(names: Iterable[str | Tool], options: ToolOptions | None = None) -> dict[str, Tool]:
    """The tools of these names (known, or `package.module:name`), each made ready; a tool that can't work says why.

    Raises UnknownName or another UserError, before any run starts.
    """
    tools = [await _ready(name if isinstance(name, Tool) else _find(name), options or ToolOptions()) for name in names]
    return {one.name: one for one in tools}


async def _ready(one: Tool, options: ToolOptions) -> Tool:
    if one.configure is not None:
        one = await one.configure(options)
    return (await one.prepare() if one.prepare is not None else None) or one


def _find(name: str) -> Tool:
    if name in _registered:
        return _registered[name]
    if name in SHIPPED:
        return _import(SHIPPED[name])
    kind, at, what = name.partition("@")
    if at and kind in MAKERS:
        module, _, maker = MAKERS[kind].partition(":")
        return _as_tool(name, getattr(importlib.import_module(module), maker)(what))
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == name:
            return _as_tool(name, entry.load())
    if ":" in name:
        return _import(name)
    raise UnknownName("tool", name, tool_names())


def _import(path: str) -> Tool:
    module, _, attribute = path.partition(":")
    try:
        return _as_tool(path, getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise UserError(f"The tool {path} can't be imported: {error}.") from error


def _as_tool(name: str, value: Any) -> Tool:
    if isinstance(value, Tool):
        return value
    if callable(value):
        return tool(value)
    raise UserError(f"{name} is not a tool: it must be a typed async function.")
