"""A worker's scratch folder as the host sees it: how full it is, what was written there, and copies taken out of it.

Everything in the folder is made by model-written code while the host looks: links are never followed, only regular
files are opened, and a copy is bounded by what was asked for and not by what the file says of itself.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from maieutic.tools.sandbox.tier import Limits

_DEPTH, _LISTED = 4, 1000
_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_DIRECTORY", 0)
_REGULAR = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe without a writer would block

_State = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Written:
    """A file that a cell wrote: its path below the scratch folder and its size in bytes."""

    name: str
    size: int


class Scratch:
    """The folder behind the descriptor `fd`, which this owns. `own_mount` says that it is a file system of its own,
    whose size is limited already; otherwise what it holds is added up, with what process `pid` holds open beside it."""

    def __init__(self, fd: int, *, own_mount: bool, pid: int | None = None) -> None:
        self.fd = fd
        self._own_mount = own_mount
        self._pid = pid
        self._known: dict[str, _State] = {}

    def is_over(self, limits: Limits) -> bool:
        """Whether it holds more files, or more bytes, than the limits allow."""
        if self._own_mount:
            usage = os.statvfs(self.fd)
            return usage.f_files - usage.f_ffree > limits.files
        files, size = 0, self._unlinked_bytes()
        for _, status in _walk(self.fd, depth=64):
            files, size = files + 1, size + status.st_blocks * 512
            if files > limits.files or size > limits.scratch:
                return True
        return size > limits.scratch

    def written(self) -> list[Written]:
        """The files that are new or changed since the last call, hidden ones left out."""
        found: dict[str, _State] = {}
        for name, status in _walk(self.fd, _DEPTH, hidden=False):
            if stat.S_ISREG(status.st_mode):
                found[name] = (status.st_ino, status.st_size, status.st_mtime_ns)
                if len(found) >= _LISTED:
                    break
        changed = [Written(name, state[1]) for name, state in found.items() if self._known.get(name) != state]
        self._known = found
        return sorted(changed, key=lambda one: one.name)

    def copy(self, name: str, to: BinaryIO, limit: int) -> int | None:
        """Copy a file, at most `limit` bytes of it, and say how many; None where there is no such file any more."""
        way = Path(name)
        if way.is_absolute() or ".." in way.parts:
            return None
        with suppress(OSError), _opened(self.fd, way) as fd:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return None
            copied = 0
            while copied < limit and (chunk := os.read(fd, min(1 << 20, limit - copied))):
                copied += to.write(chunk)
            return copied
        return None

    def _unlinked_bytes(self) -> int:
        size, device = 0, os.fstat(self.fd).st_dev
        with suppress(OSError):
            for fd in os.listdir(f"/proc/{self._pid}/fd"):
                with suppress(OSError):
                    status = os.stat(f"/proc/{self._pid}/fd/{fd}")
                    if status.st_dev == device and status.st_nlink == 0:
                        size += status.st_blocks * 512
        return size


def remove(folder: Path) -> None:
    """Remove a scratch folder with whatever model-written code has left there, once its worker is dead."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():  # it holds folders that their owner has closed
        for place, inner, _ in os.walk(folder):
            for name in inner:
                if not os.path.islink(f"{place}/{name}"):
                    os.chmod(f"{place}/{name}", 0o700)
        shutil.rmtree(folder, ignore_errors=True)


def _walk(fd: int, depth: int, hidden: bool = True, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """What lies in the folder, folders included, each with its path and status; nothing that can't be read."""
    try:
        here = os.open(".", _DIRECTORY, dir_fd=fd)
    except OSError:
        return
    try:
        device = os.fstat(here).st_dev
        with os.scandir(here) as entries:
            for entry in entries:
                if not hidden and entry.name.startswith("."):
                    continue
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if status.st_dev != device:  # a folder that was bound there
                        continue
                    yield prefix + entry.name, status
                    if depth > 1 and stat.S_ISDIR(status.st_mode):
                        inner = os.open(entry.name, _DIRECTORY, dir_fd=here)
                        try:
                            yield from _walk(inner, depth - 1, hidden, f"{prefix}{entry.name}/")
                        finally:
                            os.close(inner)
    finally:
        os.close(here)


@contextmanager
def _opened(fd: int, path: Path) -> Iterator[int]:
    """The file at `path` below `fd`, reached folder by folder so that no part of the way can be a link."""
    way = [os.open(".", _DIRECTORY, dir_fd=fd)]
    try:
        for part in path.parts[:-1]:
            way.append(os.open(part, _DIRECTORY, dir_fd=way[-1]))
        way.append(os.open(path.name, _REGULAR, dir_fd=way[-1]))
        yield way[-1]
    finally:
        for one in way:
            os.close(one)
