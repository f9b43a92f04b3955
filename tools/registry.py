"""Tools by name: the shipped ones, registered ones, entry points, a dotted path, or NAME@WHAT for one made for it."""

import importlib
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, overload

from maieutic.errors import UnknownName, UserError
from maieutic.tools.options import ToolOptions
from maieutic.tools.tool import Tool, tool

SHIPPED = {
    "open_source": "maieutic.tools.retrieval.tools:open_source",
    "python": "maieutic.tools.python:python",
    "read_page": "maieutic.tools.web.tools:read_page",
    "retrieve": "maieutic.tools.retrieval.tools:retrieve",
    "search": "maieutic.tools.web.tools:search",
    "sql": "maieutic.tools.sql.tools:sql",
    "sql_schema": "maieutic.tools.sql.tools:sql_schema",
}
MAKERS = {  # NAME@WHAT: called with WHAT
    "open_source": "maieutic.tools.retrieval.tools:source_tool",
    "read_page": "maieutic.tools.web.tools:page_named",
    "retrieve": "maieutic.tools.retrieval.tools:retrieval_tool",
    "search": "maieutic.tools.web.tools:search_named",
    "sql": "maieutic.tools.sql.tools:sql_named",
    "sql_schema": "maieutic.tools.sql.tools:schema_named",
}
ENTRY_POINTS = "maieutic.tools"

_registered: dict[str, Tool] = {}


@overload
def register_tool(function: Callable[..., Any] | Tool, /) -> Tool: ...
@overload
def register_tool(**rules: Any) -> Callable[[Callable[..., Any]], Tool]: ...
def register_tool(
    function: Callable[..., Any] | Tool | None = None, /, **rules: Any
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a typed function known as a tool, under its own name; usable as a decorator.

    As `@register_tool(timeout=…)` it takes what `maieutic.tools.tool.tool` takes. Raises UserError for a function that
    can't be a tool.
    """

    def register(function: Callable[..., Any] | Tool) -> Tool:
        made = function if isinstance(function, Tool) else tool(**rules)(function)
        _registered[made.name] = made
        return made

    return register if function is None else register(function)


def tool_names() -> list[str]:
    return sorted({*SHIPPED, *_registered, *(e.name for e in entry_points(group=ENTRY_POINTS))})


async def load_tools(names: Iterable[str | Tool], options: ToolOptions | None = None) -> dict[str, Tool]:
    """The tools of these names (known, or `package.module:name`), each made ready; a tool that can't work says why.

    Raises UnknownName or another UserError, before any run starts.
    """
    tools = [
        await _ready(name if isinstance(name, Tool) else find_tool(name), options or ToolOptions()) for name in names
    ]
    return {one.name: one for one in tools}


async def _ready(one: Tool, options: ToolOptions) -> Tool:
    if one.configure is not None:
        one = await one.configure(options)
    return (await one.prepare() if one.prepare is not None else None) or one


def find_tool(name: str) -> Tool:
    """The tool of this name as it is defined, not yet made ready. Raises UnknownName or another UserError."""
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
            return _as_tool(name, _loaded(entry))
    if ":" in name:
        return _import(name)
    raise UnknownName("tool", name, tool_names())


def _import(path: str) -> Tool:
    module, _, attribute = path.partition(":")
    try:
        return _as_tool(path, getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise UserError(f"The tool {path} can't be imported: {error}.") from error


def _loaded(entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except Exception as error:  # another package's code
        whose = entry.dist.name if entry.dist is not None else "another package"
        raise UserError(
            f"The tool {entry.name} of {whose} can't be loaded from {entry.value}: {type(error).__name__}: {error}."
        ) from error


def _as_tool(name: str, value: Any) -> Tool:
    if isinstance(value, Tool):
        return value
    if callable(value):
        return tool(value)
    raise UserError(f"{name} is not a tool: it must be a typed function.")
