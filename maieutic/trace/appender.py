"""The thread that puts lines on disk: many lines a write, many writes' worth a sync, and never the event loop.

A line is durable once the `fdatasync` that covers it has returned; that happens within `LATEST` of its arrival, or at
once when somebody awaits `commit`. After an error of the disk nothing more is written, what was acknowledged stays,
and every later call raises.
"""

import asyncio
import fcntl
import logging
import os
import threading
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from maieutic.errors import TraceError
from maieutic.trace.segment import PLAIN, first_line, frame, new_name, seal, sync_directory

LATEST = 0.030  # seconds a line may wait for company; with the sync itself it is on disk within 0.05
ROTATE_AT = 64 * 2**20
_FULL_BATCH = 4 * 2**20

_sync = getattr(os, "fdatasync", os.fsync)  # macOS has only the latter
_log = logging.getLogger(__name__)


class Appender:
    """Appends framed payloads to this process's own segments in `root`."""

    def __init__(self, root: Path, rotate_at: int = ROTATE_AT) -> None:
        self._root = root
        self._rotate_at = rotate_at
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._lines: list[bytes] = []
        self._bytes = 0
        self._appended = 0
        self._durable = 0
        self._urgent = False
        self._closing = False
        self._failure: OSError | None = None
        self._waiters: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._segment: _Segment | None = None
        self._last_name = ""
        self._sealing: list[threading.Thread] = []
        self._thread: threading.Thread | None = None

    def append(self, payload: bytes) -> None:
        """Queue one line; never waits for the disk. TraceError after a failed write, or once closed."""
        line = frame(payload)
        with self._lock:
            self._check()
            if self._closing:
                raise TraceError("The trace is closed: nothing more can be written to it.")
            self._lines.append(line)
            self._bytes += len(line)
            self._appended += 1
            if len(self._lines) == 1 or self._bytes > _FULL_BATCH:
                self._wake.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="maieutic-trace", daemon=True)
                self._thread.start()

    async def commit(self) -> None:
        """Wait until every line appended so far is on disk; TraceError when it can't get there."""
        with self._wake:
            self._check()
            if self._durable >= self._appended:
                return
            loop = asyncio.get_running_loop()
            done: asyncio.Future[None] = loop.create_future()
            self._waiters.append((self._appended, loop, done))
            self._urgent = True
            self._wake.notify()
        await done
        self._check()

    def close(self) -> None:
        """Write what is queued, sync, seal. Raises TraceError when lines were lost; a second call does nothing."""
        with self._wake:
            if self._closing:
                return
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
        for thread in self._sealing:
            thread.join()
        self._check()

    def _check(self) -> None:
        if self._failure is not None:
            lost = self._appended - self._durable
            raise TraceError(
                f"The trace in {self._root} can't be written ({self._failure.strerror or self._failure}); the last "
                f"{lost} lines are lost: free some space or give another directory, then start again."
            ) from self._failure

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            lines, last = batch
            try:
                self._put(b"".join(lines))
            except OSError as error:
                self._settle(self._durable, error)
                break
            self._settle(last)
        if self._segment is not None:
            self._finish_segment()

    def _next_batch(self) -> tuple[list[bytes], int] | None:
        """What is queued, after waiting a little for more; None when closed and empty."""
        with self._wake:
            self._wake.wait_for(lambda: bool(self._lines) or self._closing)
            self._wake.wait_for(lambda: self._urgent or self._closing or self._bytes > _FULL_BATCH, LATEST)
            lines, self._lines = self._lines, []
            self._bytes, self._urgent = 0, False
            return (lines, self._appended) if lines else None

    def _put(self, data: bytes) -> None:
        if self._segment is None:
            self._segment = _Segment(self._root, self._last_name)
            self._last_name = self._segment.path.name
        self._segment.write(data)
        if self._segment.size >= self._rotate_at:
            self._finish_segment()

    def _finish_segment(self) -> None:
        """Close the segment and seal it beside the work, so that a large one delays no commit."""
        assert self._segment is not None
        self._segment.close()
        path, self._segment = self._segment.path, None
        if self._closing:  # nothing is delayed, and an interpreter that shuts down starts no threads
            _seal_or_leave(path)
            return
        thread = threading.Thread(target=_seal_or_leave, args=(path,), name="maieutic-trace-seal")
        self._sealing = [t for t in self._sealing if t.is_alive()] + [thread]
        thread.start()

    def _settle(self, durable: int, failure: OSError | None = None) -> None:
        """Acknowledge what is on disk, and wake everybody who waits for it, or for it in vain."""
        with self._wake:
            self._durable, self._failure = durable, failure
            ready = [w for w in self._waiters if w[0] <= durable or failure]
            self._waiters = [w for w in self._waiters if not (w[0] <= durable or failure)]
        waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for _, loop, done in ready:
            waiting.setdefault(loop, []).append(done)
        for loop, futures in waiting.items():  # all at once, so that what they write next shares a sync as well
            try:
                loop.call_soon_threadsafe(_wake_up, futures)
            except RuntimeError:  # the loop is closed: nobody waits any more
                continue


def _wake_up(futures: "list[asyncio.Future[None]]") -> None:
    for done in futures:
        if not done.done():
            done.set_result(None)


def _seal_or_leave(path: Path) -> None:
    try:
        seal(path)
    except OSError as error:
        why = error.strerror or type(error).__name__
        _log.warning("The segment %s stays uncompressed (%s): it is whole, and read like the others.", path, why)


class _Segment:
    """One open file, locked for as long as it is written so that readers can tell a live tail from a torn one."""

    def __init__(self, root: Path, previous: str) -> None:
        self.path = root / (new_name(previous) + PLAIN)
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
        self.size = 0
        with suppress(OSError):  # a file system without locks: readers then call a live tail torn, and drop it alike
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sync_directory(root)
        self._header = first_line(f"maieutic {_version()}")

    def write(self, data: bytes) -> None:
        """Append and sync. After an error the file is cut back to its last whole batch."""
        data, self._header = self._header + data, b""
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:] if written else data)
            _sync(self._file)
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        self.size += len(data)

    def close(self) -> None:
        os.close(self._file)


def _version() -> str:
    try:
        return version("maieutic")
    except PackageNotFoundError:
        return "unknown"
