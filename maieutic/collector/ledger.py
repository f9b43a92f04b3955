"""What has been done: `results.jsonl`, `failures.jsonl` and `groups.jsonl`, append-only, many lines a write.

A line is added only after its run's trace is on disk, and counts as done only once the line is on disk itself. What a
kill tears off is a line that nobody was told of.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from maieutic.collector.rows import FailureRow, GroupRow, ResultRow
from maieutic.collector.shard import shards_in
from maieutic.errors import TraceError, UserError
from maieutic.trace.lost import LEDGER

RESULTS, FAILURES, GROUPS = LEDGER, "failures.jsonl", "groups.jsonl"
LATEST = 0.030  # seconds a line waits for company

_sync = getattr(os, "fdatasync", os.fsync)  # macOS has only the latter

Row = ResultRow | FailureRow | GroupRow
R = TypeVar("R", ResultRow, FailureRow, GroupRow)


def read_results(out: Path) -> Iterator[ResultRow]:
    """The finished runs of a collection, or of all shards of one, in the order of their writing.

    TraceError for a line that is damaged, UserError for a file that can't be read; a torn last line is left out.
    """
    for folder in (Path(out), *shards_in(out)):
        yield from _read(folder / RESULTS, ResultRow)


def read_failures(out: Path) -> Iterator[FailureRow]:
    """The runs that raised, earlier attempts included."""
    for folder in (Path(out), *shards_in(out)):
        yield from _read(folder / FAILURES, FailureRow)


def read_groups(out: Path) -> Iterator[GroupRow]:
    """The groups of attempts that ended early."""
    for folder in (Path(out), *shards_in(out)):
        yield from _read(folder / GROUPS, GroupRow)


class Ledger:
    """The files, open for appending by one process; `on_disk` is told of rows once they are durable."""

    def __init__(self, out: Path, on_disk: Callable[[list[Row]], None]) -> None:
        self._paths: dict[type[Row], Path] = {
            ResultRow: out / RESULTS,
            FailureRow: out / FAILURES,
            GroupRow: out / GROUPS,
        }
        self._on_disk = on_disk
        self._rows: list[Row] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._writer: asyncio.Task[None] | None = None
        for path in self._paths.values():
            _drop_torn_line(path)

    def add(self, row: Row) -> None:
        """Queue a row; never waits for the disk. Raises what ended the writing, such as TraceError on a full disk."""
        if self._writer is not None and self._writer.done():
            self._writer.result()
        self._rows.append(row)
        self._wake.set()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator["Ledger"]:
        """Write what is added during the block; at its end everything is on disk. TraceError where it can't be."""
        self._writer = asyncio.create_task(self._write_until_closed())
        try:
            yield self
        finally:
            self._closing = True
            self._wake.set()
            await self._writer

    async def _write_until_closed(self) -> None:
        while self._rows or not self._closing:
            await self._wake.wait()
            self._wake.clear()
            if not self._closing:
                await asyncio.sleep(LATEST)
            rows, self._rows = self._rows, []
            try:
                await asyncio.to_thread(self._write, rows)
            except OSError as error:
                raise TraceError(
                    f"Results can't be written to {self._paths[ResultRow].parent} ({error.strerror}): free some space "
                    "or make it writable, then start the same command again to go on."
                ) from error
            self._on_disk(rows)

    def _write(self, rows: list[Row]) -> None:
        for kind, path in self._paths.items():
            lines = b"".join(row.as_line() for row in rows if type(row) is kind)
            if lines:
                _append(path, lines)


def _append(path: Path, data: bytes) -> None:
    """Append and sync; after an error the file ends where it did before."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        before = os.fstat(file).st_size
        try:
            written = 0
            while written < len(data):
                written += os.write(file, data[written:])
            _sync(file)
        except OSError:
            os.ftruncate(file, before)
            raise
    finally:
        os.close(file)


def _drop_torn_line(path: Path) -> None:
    """Cut off a last line without its end. Its run is in the trace, and is recovered from there. UserError where the
    file can't be written."""
    try:
        with path.open("rb+") as file:
            data = file.read()
            if data and not data.endswith(b"\n"):
                file.truncate(data.rfind(b"\n") + 1)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _refusal(path, "written", error) from error


def _read(path: Path, kind: type[R]) -> Iterator[R]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    except OSError as error:
        raise _refusal(path, "read", error) from error
    with file as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            try:
                data: dict[str, Any] = json.loads(line)
                row = kind.from_json(data)
            except (ValueError, KeyError, TypeError) as error:
                raise TraceError(f"{path}, line {number} is damaged ({error}): take it out to go on.") from error
            yield row


def _refusal(path: Path, what: str, error: OSError) -> UserError:
    return UserError(f"{path} can't be {what} ({error.strerror}): give yourself the right to it, then start again.")
