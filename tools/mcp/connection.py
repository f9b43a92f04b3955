"""One connection to an MCP server, from its start to its end.

It lives in a task of its own: the SDK's client must be left by the task that entered it, while a runner may be opened
in one task, asked in others and closed in another.
"""

import asyncio
import logging
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from maieutic.tools.mcp.reach import Reach
from maieutic.tools.mcp.watched import Notes

_PAGES = 100
_CLOSING = 15.0  # seconds; the SDK's own escalation takes about 6


class Unreachable(Exception):
    """A connection that could not be made; the text says why."""


class Connection:
    """An open connection. `tools` are all tools that the server lists; `gone` says that it can't be used any more."""

    def __init__(self, reach: Reach) -> None:
        self.tools: list[Any] = []
        self._reach = reach
        self._notes = Notes()
        self._over = asyncio.Event()
        self._ready = asyncio.Event()
        self._client: Any = None
        self._error: BaseException | None = None
        self._life: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, reach: Reach, seconds: float) -> "Connection":
        """Connect, and read what tools there are. Raises Unreachable, after `seconds` at the latest."""
        one = cls(reach)
        one._life = asyncio.create_task(one._live())
        ready = asyncio.create_task(one._ready.wait())
        try:
            await asyncio.wait({one._life, ready}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await one._cancel()
            raise
        finally:
            ready.cancel()
        if one._ready.is_set():
            return one
        if not one._life.done():
            await one._cancel()
            raise Unreachable(one._why(f"it did not answer within {seconds:g} s"))
        raise Unreachable(one._why(_said(one._error)))

    @property
    def gone(self) -> bool:
        return self._over.is_set() or self._life is None or self._life.done()

    @property
    def status(self) -> int | None:
        """The HTTP status of the latest answer, where it was an error."""
        return self._notes.status

    async def call(self, tool: str, arguments: dict[str, Any]) -> Any:
        """The server's `CallToolResult`. Raises what the SDK raises."""
        return await self._client.call_tool(tool, arguments)

    async def close(self) -> None:
        """End the connection, and the server's process where it has one. It may be closed twice."""
        self._over.set()
        if self._life is not None and not self._life.done():
            await asyncio.wait({self._life}, timeout=_CLOSING)
            await self._cancel()

    async def _cancel(self) -> None:
        """Cancel the connection's task, and give it time to end the server's process."""
        if self._life is not None and not self._life.done():
            self._life.cancel()
            await asyncio.wait({self._life}, timeout=_CLOSING)

    async def _live(self) -> None:
        from mcp import Client, Implementation

        logging.getLogger("mcp").addHandler(logging.NullHandler())  # not on stderr, unless the user wants logs
        target = self._reach.target(self._notes, self._over.set)
        who = Implementation(name="maieutic", version=version("maieutic"))
        try:
            async with Client(target, client_info=who, cache=None) as client:
                try:
                    self.tools = await _all_tools(client)
                    self._client = client
                    self._ready.set()
                    await self._over.wait()
                finally:
                    self._over.set()
        except Exception as error:  # kept for who waits for the connection; calls under way hear of it from the SDK
            self._error = error
        finally:
            self._over.set()

    def _why(self, said: str) -> str:
        noted = self._notes.reason()
        return f"{said} ({noted})" if noted and noted not in said else said


async def _all_tools(client: Any) -> list[Any]:
    found: list[Any] = []
    cursor = None
    for _ in range(_PAGES):
        page = await client.list_tools(cursor=cursor)
        found += page.tools
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def leaves(error: BaseException) -> Iterator[BaseException]:
    """What an error is made of, where it is a group."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from leaves(part)
    else:
        yield error


def _said(error: BaseException | None) -> str:
    if error is None:
        return "it ended at once"
    first = next(leaves(error))
    text = str(first) or type(first).__name__
    return "it ended before it answered" if text == "Connection closed" else text
