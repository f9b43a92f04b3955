"""The tools of a runner: those of names and objects made ready, toolsets opened, and all of it closed again."""

import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from maieutic.errors import ConfigError, UnknownName, UserError
from maieutic.settings import McpServer
from maieutic.tools.options import ToolOptions
from maieutic.tools.registry import load_tools
from maieutic.tools.tool import Tool
from maieutic.tools.toolset import Toolset

MCP = "mcp:"


@asynccontextmanager
async def open_tools(
    wanted: Iterable[str | Tool | Toolset], options: ToolOptions | None = None
) -> AsyncIterator[dict[str, Tool]]:
    """The tools by name, usable within the block. `mcp:SERVER` and `mcp:SERVER/TOOL` are those of a server in the
    user's settings. Raises UserError for a name that is unknown, or meant twice, or a tool that can't work here."""
    options = options or ToolOptions()
    async with AsyncExitStack() as stack:
        opened: dict[str, Tool] = {}
        for one in _servers_together(wanted, options):
            if isinstance(one, str | Tool):
                opened |= await load_tools([one], options)
                continue
            for made in await stack.enter_async_context(one.open()):
                if made.name in opened:
                    raise UserError(f"Two tools are named {made.name}: leave one of them out.")
                opened[made.name] = made
        yield opened


def _servers_together(wanted: Iterable[str | Tool | Toolset], options: ToolOptions) -> list[str | Tool | Toolset]:
    """What is wanted, in order, with one toolset for each server however many of its tools are named."""
    found: list[str | Tool | Toolset] = []
    at: dict[str, int] = {}
    named: dict[str, list[str] | None] = {}  # None: those that the settings list
    for one in wanted:
        if not isinstance(one, str) or not one.startswith(MCP):
            found.append(one)
            continue
        server, _, tool = one.removeprefix(MCP).partition("/")
        if server not in at:
            at[server], named[server] = len(found), []
            found.append(one)
        chosen = named[server]
        named[server] = [*chosen, tool] if tool and chosen is not None else None
    for server, tools in named.items():
        if server not in options.mcp:
            raise UnknownName("MCP server", server, options.mcp)
        found[at[server]] = _toolset(server, options.mcp[server], tools)
    return found


def _toolset(name: str, server: McpServer, tools: list[str] | None, env: Mapping[str, str] = os.environ) -> Toolset:
    from maieutic.tools.mcp.toolset import mcp_tools

    def value(variable: str, why: str) -> str:
        if variable not in env:
            raise ConfigError(f"The MCP server {name} needs the environment variable {variable} {why}: set it.")
        return env[variable]

    chosen = server.tools if tools is None else tools
    if server.command is not None:
        passed = {one: value(one, "(pass_env)") for one in server.pass_env}
        return mcp_tools(
            name, tools=chosen, command=server.command, env={**passed, **server.env}, timeout=server.timeout
        )
    headers = {header: _header(header, value(one, f"for {header}")) for header, one in server.headers_env.items()}
    return mcp_tools(name, tools=chosen, url=server.url, headers=headers, timeout=server.timeout)


def _header(name: str, value: str) -> str:
    """A header's value; a bare token for Authorization is a bearer's."""
    value = value.strip()
    return f"Bearer {value}" if name.lower() == "authorization" and " " not in value else value
