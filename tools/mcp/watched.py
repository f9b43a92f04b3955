"""What is noticed of a connection while it is open: that it ended, a server's last words, a status that refuses."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TextIO

_KEPT = 4096  # bytes of what a server writes to stderr
_SETTLE = 1.0  # seconds for the last of it to arrive, once the server has ended


@dataclass(slots=True)
class Notes:
    """The end of what a server wrote to stderr, and the last HTTP status that was an error."""

    words: bytes = b""
    status: int | None = None

    def reason(self) -> str:
        """What they say of why a connection failed; empty where they say nothing."""
        if self.status is not None:
            return f"the server answered with the HTTP status {self.status}"
        lines = self.words.decode("utf-8", "replace").strip().splitlines()
        return f"its last words: {lines[-1].strip()[:300]}" if lines else ""


class WatchedStream:
    """A stream of messages that says when it ends."""

    def __init__(self, stream: Any, ended: Callable[[], None]) -> None:
        self._stream = stream
        self._ended = ended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def receive(self) -> Any:
        from anyio import ClosedResourceError, EndOfStream

        try:
            return await self._stream.receive()
        except (EndOfStream, ClosedResourceError):
            self._ended()
            raise

    def __aiter__(self) -> "WatchedStream":
        return self

    async def __anext__(self) -> Any:
        from anyio import EndOfStream

        try:
            return await self.receive()
        except EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> "WatchedStream":
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._stream.__aexit__(*error)


class _Tail(asyncio.Protocol):
    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.closed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.notes.words = (self.notes.words + data)[-_KEPT:]

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()


@asynccontextmanager
async def stderr_of(notes: Notes) -> AsyncIterator[TextIO]:
    """A file for a server's stderr, whose end goes into `notes`; however much is written, nothing more is kept."""
    read, write = os.pipe()
    reader, writer = os.fdopen(read, "rb", 0), os.fdopen(write, "w")
    try:
        transport, tail = await asyncio.get_running_loop().connect_read_pipe(lambda: _Tail(notes), reader)
    except BaseException:
        reader.close()
        writer.close()
        raise
    try:
        yield writer
    finally:
        writer.close()
        try:
            await asyncio.wait_for(tail.closed.wait(), _SETTLE)
        except TimeoutError:  # a child of the server still holds it
            pass
        finally:
            transport.close()
