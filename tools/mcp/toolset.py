"""The tools of one MCP server as a toolset, and `mcp_tools`, which makes one."""

import difflib
import importlib.util
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from maieutic.errors import MissingExtra, UserError
from maieutic.tools.mcp.answer import reply_of
from maieutic.tools.mcp.arguments import arguments_of, given
from maieutic.tools.mcp.names import check_server_name, tool_names_of
from maieutic.tools.mcp.reach import Command, InProcess, Reach, Url
from maieutic.tools.mcp.server import Server
from maieutic.tools.policy import Policy
from maieutic.tools.tool import Reply, Session, Tool

Wanted = Sequence[str] | Literal["all"]


def mcp_tools(
    name: str,
    *,
    tools: Wanted,
    command: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
    url: str | None = None,
    headers: Mapping[str, str] | None = None,
    server: Any = None,
    timeout: float = 60.0,
) -> "McpTools":
    """The tools of an MCP server, each called `name__tool` here; give it to `tools=` of a run.

    The server is a `command` (a program and its arguments, with PATH and `env` as its environment), a `url` (streamable
    HTTP, `headers` with every request), or a `server` object of the SDK in this process. `tools` are those that the
    model may use, by the server's own names, or "all". A call may take `timeout` seconds. Raises UserError for what
    can't be meant; whether the server can be reached shows when a runner is opened.
    """
    check_server_name(name)
    if sum(way is not None for way in (command, url, server)) != 1:
        raise UserError(f"The MCP server {name} needs one of a command, a URL or a server object.")
    if env is not None and command is None:
        raise UserError(f"The MCP server {name} is not started here: env belongs to a command.")
    if headers is not None and url is None:
        raise UserError(f"The MCP server {name} is not asked over HTTP: headers belong to a URL.")
    if isinstance(tools, str) and tools != "all" or isinstance(command, str):
        raise UserError(f"The MCP server {name} needs lists: command=[PROGRAM, …], and tools=[NAME, …] or 'all'.")
    reach: Reach
    if command is not None:
        reach = Command(tuple(command), dict(env or {}))
    elif url is not None:
        reach = Url(url, dict(headers or {}), timeout)
    else:
        reach = InProcess(server)
    return McpTools(name, reach, tools, Policy(timeout=timeout))


@dataclass(frozen=True, slots=True)
class McpTools:
    """A server and which of its tools are wanted. Each opening makes a connection of its own."""

    name: str
    reach: Reach
    wanted: Wanted
    policy: Policy = Policy(timeout=60.0)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Sequence[Tool]]:
        """The tools, over a connection that is closed at the end. Raises UserError."""
        if importlib.util.find_spec("mcp") is None:
            raise MissingExtra("MCP", "mcp")
        server = Server(self.name, self.reach)
        listed = await server.open()
        try:
            names = tool_names_of(self.name, [one.name for one in listed])
            known = {one.name: one for one in listed}
            yield [_tool(server, known[one], names[one], self.policy) for one in self._chosen(list(known))]
        finally:
            await server.close()

    def _chosen(self, known: Sequence[str]) -> Sequence[str]:
        if self.wanted == "all":
            if not known:
                raise UserError(f"The MCP server {self.name} has no tools.")
            return known
        for one in self.wanted:
            if one not in known:
                close = difflib.get_close_matches(one, known, n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                there = ", ".join(known) or "none"
                raise UserError(f"The MCP server {self.name} has no tool {one!r}.{hint} It has: {there}.")
        return list(dict.fromkeys(self.wanted))


def _tool(server: Server, listed: Any, name: str, policy: Policy) -> Tool:
    hints = listed.annotations
    repeatable = bool(hints and (hints.read_only_hint or hints.idempotent_hint))

    async def run(session: Session, **values: Any) -> Reply:
        before = server.restarts
        result = await server.call(listed.name, given(values), repeatable)
        facts: dict[str, Any] = {"server": server.name, "tool": listed.name}
        if server.restarts > before:
            facts["restarted"] = True
        return await reply_of(result, session.artifacts, **facts)

    about = listed.description or listed.title or (hints.title if hints else None) or listed.name
    function: Callable[..., Any] = run
    needs = f"the MCP server {server.name}"
    parameters = arguments_of(name, listed.input_schema)
    return Tool(name, about.strip(), parameters, function, takes_session=True, policy=policy, needs=needs)
