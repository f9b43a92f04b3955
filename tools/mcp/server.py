"""An MCP server as a runner has it: one connection for all its runs, made again once where it is lost."""

import asyncio
import time
from typing import Any

from maieutic.errors import ToolError, UserError
from maieutic.tools.mcp.connection import Connection, Unreachable
from maieutic.tools.mcp.reach import Reach

START = 60.0  # seconds a server may take before it lists its tools; a launcher may have to fetch it first
AGAIN = 60.0  # seconds after a restart without any answer before another one


class Server:
    """A server that has been reached. Lost, it is started again at the next call; lost once more before it has answered
    anything, it stays lost for a minute, and every call says so."""

    def __init__(self, name: str, reach: Reach) -> None:
        self.name = name
        self.restarts = 0
        self._reach = reach
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()
        self._restarted: float | None = None  # when, as long as nothing has been answered since
        self._closed = False

    async def open(self) -> list[Any]:
        """Connect, and return all tools that the server lists. Raises UserError."""
        self._reach.check()
        try:
            self._connection = await Connection.open(self._reach, START)
        except Unreachable as error:
            raise UserError(f"The MCP server {self.name} can't be used: {_sentence(error)}") from error
        return self._connection.tools

    async def close(self) -> None:
        """End the connection for good."""
        self._closed = True
        async with self._lock:
            if self._connection is not None:
                await self._connection.close()

    async def call(self, tool: str, arguments: dict[str, Any], repeatable: bool) -> Any:
        """The `CallToolResult` of a call. Where the connection is lost on the way, a `repeatable` call is made again.
        Raises ToolError, for the model."""
        connection = await self._up()
        try:
            return await self._ask(connection, tool, arguments)
        except _Lost:
            if not repeatable:
                raise ToolError(
                    f"The MCP server {self.name} ended while it worked on this call. Whether the "
                    "call took effect is not known, and what the server kept in memory is lost."
                ) from None
        connection = await self._up()
        try:
            return await self._ask(connection, tool, arguments)
        except _Lost:
            raise ToolError(f"The MCP server {self.name} ended twice on this call.") from None

    async def _ask(self, connection: Connection, tool: str, arguments: dict[str, Any]) -> Any:
        from mcp import InputRequiredRoundsExceededError, MCPError
        from pydantic import ValidationError

        try:
            result = await connection.call(tool, arguments)
        except MCPError as error:
            if connection.gone or _ended(error):
                await connection.close()
                raise _Lost from error
            raise ToolError(_refused(self.name, error, connection.status)) from error
        except InputRequiredRoundsExceededError as error:
            raise ToolError(f"The MCP server {self.name} asks for more input than can be given here.") from error
        except ValidationError as error:
            raise ToolError(f"The MCP server {self.name} gave an answer that is not MCP.") from error
        except RuntimeError as error:
            if connection.gone:
                raise _Lost from error
            raise ToolError(f"{_sentence(error)}") from error  # an answer that is not as its own schema says
        self._restarted = None
        return result

    async def _up(self) -> Connection:
        """The connection, made again where it was lost. Raises ToolError."""
        async with self._lock:
            connection = self._connection
            assert connection is not None, "open() comes first"
            if self._closed:
                raise ToolError(f"The MCP server {self.name} was left when the run ended.")
            if not connection.gone:
                return connection
            if self._restarted is not None and time.monotonic() < self._restarted + AGAIN:
                raise ToolError(
                    f"The MCP server {self.name} ended and could not be brought back: its tools can't be used now."
                )
            self._restarted = time.monotonic()
            await connection.close()
            try:
                self._connection = await Connection.open(self._reach, START)
            except Unreachable as error:
                raise ToolError(
                    f"The MCP server {self.name} ended and can't be started again: {_sentence(error)}"
                ) from error
            except asyncio.CancelledError:
                self._restarted = None  # it was this call that ended, not the server
                raise
            self.restarts += 1
            return self._connection


class _Lost(Exception):
    """The connection was lost while a call was under way."""


def _ended(error: Any) -> bool:
    """Whether an error is the SDK's word for a connection or an HTTP session that is no more."""
    from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST

    return (error.code, error.message) in {
        (CONNECTION_CLOSED, "Connection closed"),
        (INVALID_REQUEST, "Session terminated"),
    }


def _refused(server: str, error: Any, status: int | None) -> str:
    text = f"The MCP server {server} refused the call: {_sentence(error)}"
    return f"{text} (HTTP status {status})" if status is not None else text


def _sentence(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
