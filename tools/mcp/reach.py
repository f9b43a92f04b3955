"""How an MCP server is reached: a command on this machine, a URL, or an object of the SDK in this process."""

import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from maieutic.errors import ConfigError, UserError
from maieutic.tools.mcp.watched import Notes, WatchedStream, stderr_of

_LARGEST_EVENT = 64 << 20  # bytes of one message over HTTP


class Reach(Protocol):
    """One way to a server."""

    def target(self, notes: Notes, ended: Callable[[], None]) -> Any:
        """What the SDK's client connects to. `ended` is called when the server ends the connection."""
        ...

    def check(self) -> None:
        """Raises UserError for what can be known to be wrong before the server is asked."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """A program that speaks MCP on stdin and stdout. Its environment is PATH and `env`, nothing else of ours."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)

    def check(self) -> None:
        if not self.argv:
            raise ConfigError("An MCP server's command is empty: give the program and its arguments.")
        if shutil.which(self.argv[0], path=self._path()) is None:
            raise UserError(f"There is no program {self.argv[0]!r} to start: install it, or give its path.")

    def _path(self) -> str:
        return self.env.get("PATH") or os.environ.get("PATH") or os.defpath

    @asynccontextmanager
    async def target(self, notes: Notes, ended: Callable[[], None]) -> AsyncIterator[Any]:
        from mcp.client.stdio import DEFAULT_INHERITED_ENV_VARS, StdioServerParameters, stdio_client

        env = {**self.env, "PATH": self._path()}
        program = shutil.which(self.argv[0], path=env["PATH"]) or self.argv[0]
        # The SDK adds these from our environment; `env -u` takes them away again, with no value in an argument.
        unset = [part for name in DEFAULT_INHERITED_ENV_VARS if name not in env for part in ("-u", name)]
        server = StdioServerParameters(command="env", args=[*unset, program, *self.argv[1:]], env=env)
        async with stderr_of(notes) as errlog, stdio_client(server, errlog) as (reading, writing):
            errlog.close()  # the server has its own; with ours open its end would not be seen
            yield WatchedStream(reading, ended), writing


@dataclass(frozen=True, slots=True)
class Url:
    """A server that speaks streamable HTTP; `headers` go with every request."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 60.0

    def check(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ConfigError(f"{self.url} is no address of an MCP server: it begins with http:// or https://.")

    @asynccontextmanager
    async def target(self, notes: Notes, ended: Callable[[], None]) -> AsyncIterator[Any]:
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        async def note(response: httpx2.Response) -> None:
            notes.status = response.status_code if response.status_code >= 400 else None

        timeout = httpx2.Timeout(30.0, read=self.timeout + 30.0)
        async with (
            httpx2.AsyncClient(headers=dict(self.headers), timeout=timeout, event_hooks={"response": [note]}) as client,
            streamable_http_client(self.url, http_client=client, max_sse_event_size=_LARGEST_EVENT) as streams,
        ):
            reading, writing = streams
            yield WatchedStream(reading, ended), writing


@dataclass(frozen=True, slots=True)
class InProcess:
    """A server object of the SDK (`MCPServer` or `Server`), asked without any transport."""

    server: Any

    def check(self) -> None:
        pass

    def target(self, notes: Notes, ended: Callable[[], None]) -> Any:
        return self.server
