"""A journal: JSON lines in one file that several processes append to, and that survives being killed at any moment."""

import fcntl
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from maieutic.errors import UserError

Entry = dict[str, Any]


class Journal:
    """What was appended to one file, or to memory alone where there is no path.

    An append holds the file's lock, is one write, and is on disk when it returns. A line that a killed process left
    unfinished is ended by the next append, skipped by every reader, and counted in `damaged`. Safe to use from threads.
    Raises UserError where the file can't be read or written.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path is None else Path(path).expanduser()
        self.damaged = 0
        self._entries: list[Entry] = []
        self._read = 0
        self._lock = threading.Lock()

    def append(self, entries: Iterable[Entry]) -> None:
        """Add entries, which stay together."""
        made = list(entries)
        if self.path is None:
            with self._lock:
                self._entries += made
            return
        lines = b"".join(json.dumps(entry, ensure_ascii=False, allow_nan=False).encode() + b"\n" for entry in made)
        try:
            with self._lock:
                _append(self.path, lines)
        except OSError as error:
            raise UserError(f"{self.path} can't be written to ({error.strerror}): give another file.") from error

    def entries(self) -> list[Entry]:
        """Everything appended so far, by any process, oldest first."""
        with self._lock:
            if self.path is not None:
                self._catch_up(self.path)
            return list(self._entries)

    def _catch_up(self, path: Path) -> None:
        """Read what is new, up to the last line that is whole."""
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                if os.fstat(file.fileno()).st_size < self._read:  # another file has taken its place
                    self._entries, self._read, self.damaged = [], 0, 0
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:
            self._entries, self._read, self.damaged = [], 0, 0
            return
        except OSError as error:
            raise UserError(f"{path} can't be read ({error.strerror}): give another file.") from error
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            entry = _entry(line)
            if entry is not None:
                self._entries.append(entry)
            elif line.strip():
                self.damaged += 1


def _append(path: Path, lines: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = os.fstat(file).st_size
        torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        data = memoryview(b"\n" + lines if torn else lines)
        while data:
            data = data[os.write(file, data) :]
        os.fsync(file)
    finally:
        os.close(file)


def _entry(line: bytes) -> Entry | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
