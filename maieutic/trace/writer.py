"""Writing a trace: a store is a directory, a run trace is one run's way into it."""

import os
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any

from maieutic.errors import TraceError, UserError
from maieutic.trace.appender import ROTATE_AT, Appender
from maieutic.trace.codec import RunEncoder, encode_event, encode_header
from maieutic.trace.record import EVENT_KINDS, CallRecord, RunEvent, RunHeader


class TraceStore:
    """A directory of traces, open for writing. Any number of processes may write to the same directory at once.

    Nothing is created on disk but the directory until the first run is opened.
    """

    def __init__(self, root: Path, rotate_at: int = ROTATE_AT) -> None:
        """Create the directory where it is missing; UserError when it can't be written to."""
        self.root = Path(root)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"Traces can't be written to {root} ({error.strerror}): give another directory.") from error
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise UserError(f"Traces can't be written to {root} (no permission): give another directory.")
        self._appender = Appender(self.root, rotate_at)
        self._open: set[str] = set()
        self._finalizer = weakref.finalize(self, self._appender.close)

    def open_run(self, header: RunHeader) -> "RunTrace":
        """Write the run's first line. TraceError when a run of this id is already open."""
        if header.run_id in self._open:
            raise TraceError(f"The run {header.run_id} is already being recorded: every run needs an id of its own.")
        self._appender.append(encode_header(header))
        self._open.add(header.run_id)
        return RunTrace(header.run_id, self)

    async def commit(self) -> None:
        """Wait until everything written so far is on disk."""
        await self._appender.commit()

    def close(self) -> None:
        """Put everything on disk and seal the segments; blocks for as long as that takes. Idempotent."""
        self._finalizer.detach()
        self._appender.close()

    def __enter__(self) -> "TraceStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RunTrace:
    """One run being recorded. Used from one thread; every method but `commit` returns without waiting for the disk.

    Each raises TraceError when the store can't be written any more, or when the run is finished.
    """

    def __init__(self, run_id: str, store: TraceStore) -> None:
        self.run_id = run_id
        self._store = store
        self._appender = store._appender
        self._encoder: RunEncoder | None = RunEncoder()

    def call(self, record: CallRecord) -> None:
        """Record one model call, with whatever came of it."""
        if record.run_id != self.run_id:
            raise TraceError(f"A call of run {record.run_id} can't be recorded in run {self.run_id}.")
        self._appender.append(self._running().call(record))

    def write(self, kind: str, /, **fields: Any) -> None:
        """Record an event; `kind` is one of `EVENT_KINDS`."""
        if kind not in EVENT_KINDS:
            raise TraceError(f"A run has no events of kind {kind!r}: use one of {', '.join(EVENT_KINDS)}.")
        self._running()
        self._appender.append(encode_event(self.run_id, RunEvent(kind, time.time(), fields)))

    def finish(self, **fields: Any) -> None:
        """Write the run's closing line and let go of its memory; the run takes no more records."""
        self._running()
        self._appender.append(encode_event(self.run_id, RunEvent("finish", time.time(), fields)))
        self._encoder = None
        self._store._open.discard(self.run_id)

    async def commit(self) -> None:
        """Wait until everything written so far is on disk."""
        await self._appender.commit()

    def _running(self) -> RunEncoder:
        if self._encoder is None:
            raise TraceError(f"The run {self.run_id} is finished: nothing more can be recorded in it.")
        return self._encoder
