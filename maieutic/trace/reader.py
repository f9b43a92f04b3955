"""Reading a trace: which runs there are, and each of them whole."""

import logging
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from maieutic.errors import TraceError, UserError
from maieutic.trace.blocks import Table, read_all, read_block, table_of
from maieutic.trace.codec import RunDecoder
from maieutic.trace.index import Index
from maieutic.trace.lost import Lost
from maieutic.trace.payload import parse
from maieutic.trace.record import RunEvent, RunHeader, RunRecord, RunSummary
from maieutic.trace.segment import Damage, scan, unreadable

_HELD = 128 * 2**20  # decompressed bytes held in memory

_log = logging.getLogger(__name__)


class TraceReader:
    """The runs of one directory (or of a collection's, which has its traces in `traces/`, or of a
    collection's shards, which have one each), also while others write.

    Used from one thread.

    A segment damaged in its middle hides the runs that have lines in it and nothing else: `runs` yields all others
    and then raises, unless `skip_damaged`; `run` raises for a hidden one. `notes` holds one sentence for everything
    that was dropped or hidden. What is dropped or skipped is logged as well, once in a process.
    """

    def __init__(self, root: Path, skip_damaged: bool = False) -> None:
        """UserError when `root` is not a directory; TraceError when a segment is of a newer format."""
        root = Path(root)
        if not root.is_dir():
            raise UserError(f"There are no traces in {root}: it is not a directory.")
        self.root = root / "traces" if (root / "traces").is_dir() else root
        self.notes: list[str] = []
        self._skip_damaged = skip_damaged
        self._sealed = _Sealed()
        self._index = Index(self.root)
        self.refresh()

    def refresh(self) -> None:
        """Take in what was written since the reader was opened."""
        self._index.refresh()
        dropped, damaged = self._index.notes, [str(error) for error in self._index.damaged.values()]
        if self.lost is not None:
            dropped = [*dropped, str(self.lost)]
        for note in [*dropped, *(damaged if self._skip_damaged else [])]:  # what is not skipped is raised
            _warn_once(note)
        self.notes = [*dropped, *damaged]

    @property
    def lost(self) -> Lost | None:
        """What was recorded here and is gone, as far as anything tells of it; None where nothing is."""
        return self._index.lost

    def runs(self, **filters: Any) -> Iterator[RunSummary]:
        """Summaries of the runs whose fields equal `filters`, in the order they were begun.

        UnknownName for a filter that is no field of a summary; TraceError at the end where a segment is damaged.
        """
        yield from self._index.runs(filters)
        self._complain()

    def tasks(self) -> Iterator[str]:
        """The keys of all tasks, in the order in which their first runs were begun. TraceError as in `runs`."""
        yield from self._index.tasks()
        self._complain()

    def run(self, run_id: str) -> RunRecord:
        """A run, whole. UserError for an unknown one, TraceError when it can't be read back exactly, or may be one that
        can't be read."""
        spans = self._index.spans(run_id)
        if not spans:
            self.refresh()
            spans = self._index.spans(run_id)
        if self.lost is not None and self._index.has_lost(run_id, whole=not spans):
            raise TraceError(self.lost.about(run_id))
        if not spans:
            for error in self._index.damaged.values():
                raise TraceError(f"There is no run {run_id} among those in {self.root} that can be read: {error}")
            raise UserError(f"There is no run {run_id} in {self.root}.")
        for segment, _, _ in spans:
            if segment in self._index.damaged:
                raise self._index.damaged[segment]
        try:
            return _assemble(run_id, [parse(payload) for span in spans for payload in self._payloads(*span)])
        except (KeyError, TypeError, ValueError) as error:
            raise TraceError(
                f"Run {run_id} can't be rebuilt ({type(error).__name__} {error}): another version wrote it; upgrade "
                "with pip install -U maieutic."
            ) from error

    def close(self) -> None:
        self._index.close()

    def __enter__(self) -> "TraceReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _complain(self) -> None:
        if not self._skip_damaged:
            for error in self._index.damaged.values():
                raise error

    def _payloads(self, segment: str, offset: int, length: int) -> Iterator[bytes]:
        for item in scan(self._bytes(segment, offset, length)):
            if isinstance(item, Damage):
                raise TraceError(f"Segment {self._index.segments[segment]} is damaged at byte {offset + item.offset}.")
            yield item[1]

    def _bytes(self, segment: str, offset: int, length: int) -> bytes:
        path = self._index.segments[segment]
        try:
            return self._read(path, offset, length)
        except OSError as error:
            raise unreadable(path, error) from error

    def _read(self, path: Path, offset: int, length: int) -> bytes:
        if path.suffix != ".zst":
            try:
                with path.open("rb") as file:
                    file.seek(offset)
                    return file.read(length)
            except FileNotFoundError:
                path = path.with_name(path.name + ".zst")
        return self._sealed.read(path, offset, length)


class _Sealed:
    """Blocks of sealed segments, the latest ones held in memory; a segment of a single frame counts as one block."""

    def __init__(self) -> None:
        self._tables: dict[Path, Table | None] = {}
        self._held: dict[tuple[Path, int], bytes] = {}
        self._bytes = 0

    def read(self, path: Path, offset: int, length: int) -> bytes:
        if path not in self._tables:
            self._tables[path] = table_of(path)
        table = self._tables[path]
        if table is None:
            return self._block(path, None, 0)[offset : offset + length]
        first, last = offset // table.block, min(offset + length, table.size) - 1
        data = b"".join(self._block(path, table, number) for number in range(first, last // table.block + 1))
        return data[offset - first * table.block :][:length]

    def _block(self, path: Path, table: Table | None, number: int) -> bytes:
        key = (path, number)
        data = self._held.pop(key, None)
        if data is None:
            data = read_all(path) if table is None else read_block(path, table, number)
            self._bytes += len(data)
        self._held[key] = data  # the last one is the latest
        while self._bytes > _HELD and len(self._held) > 1:
            self._bytes -= len(self._held.pop(next(iter(self._held))))
        return data


@cache
def _warn_once(note: str) -> None:
    """One command may read a directory several times."""
    _log.warning("%s", note)


def _assemble(run_id: str, lines: list[dict[str, Any]]) -> RunRecord:
    decoder = RunDecoder()
    header: RunHeader | None = None
    finish: RunEvent | None = None
    calls, events = [], []
    for line in lines:
        if line["kind"] == "call":
            calls.append(decoder.call(line))
        elif line["kind"] == "run":
            data = line["data"]
            header = RunHeader(**{**data, "models": tuple(data["models"]), "tools": tuple(data["tools"])})
        else:
            event = RunEvent(line["kind"], line["t"], line["data"])
            if event.kind == "finish":
                finish = event
            else:
                events.append(event)
    if header is None:
        raise TraceError(f"Run {run_id} has lost its first line: it was in a segment that is damaged or gone.")
    return RunRecord(header, tuple(calls), tuple(events), finish)
