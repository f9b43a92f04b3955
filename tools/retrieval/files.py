"""Which files are indexed: everything under the given paths but hidden files, each once, whatever links lead to it."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from maieutic.tools.retrieval.document import Unreadable

SKIPPED_FOLDERS = {"__pycache__", "node_modules"}


@dataclass(frozen=True, slots=True)
class Found:
    """A file and how it looked when it was found."""

    path: Path
    size: int
    changed: int  # mtime in nanoseconds


@dataclass(slots=True)
class Listing:
    """The files under some roots, sorted by path, and what could not be looked into.

    `closed` are the folders and roots of which it is not known what they hold now: absent, or not to be read.
    """

    files: list[Found] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    closed: list[Path] = field(default_factory=list)


def list_files(roots: list[Path]) -> Listing:
    """Everything under `roots`, which are absolute. A root that is not there is a problem, not an error."""
    listing, seen = Listing(), set[tuple[int, int]]()
    for root in roots:
        for path in _under(root, listing):
            try:
                found = _look(path, seen)
            except Unreadable as problem:
                listing.problems[str(path)] = str(problem)
            else:
                if found is not None:
                    listing.files.append(found)
    listing.files.sort(key=lambda found: str(found.path))
    return listing


def _under(root: Path, listing: Listing) -> Iterator[Path]:
    if not root.exists():
        listing.problems[str(root)] = "is not there any more; what was indexed from it is kept"
        listing.closed.append(root)
        return
    if not root.is_dir():
        yield root
        return

    def closed(error: OSError) -> None:
        listing.problems[str(error.filename)] = f"can't be looked into ({error.strerror})"
        listing.closed.append(Path(error.filename))

    entered = set[tuple[int, int]]()
    for folder, folders, names in os.walk(root, onerror=closed, followlinks=True):
        folders[:] = sorted(name for name in folders if _enters(Path(folder, name), entered))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _enters(folder: Path, entered: set[tuple[int, int]]) -> bool:
    """Whether to go into a folder: not a hidden one, and none a second time, which also ends loops of links."""
    if folder.name.startswith(".") or folder.name in SKIPPED_FOLDERS:
        return False
    try:
        status = folder.stat()
    except OSError:
        return True  # os.walk reports it
    key = (status.st_dev, status.st_ino)
    if key in entered:
        return False
    entered.add(key)
    return True


def _look(path: Path, seen: set[tuple[int, int]]) -> Found | None:
    """The file at `path`; None where the same file was found before. Raises Unreadable."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise Unreadable("is a link that leads nowhere") from None
    except OSError as error:
        raise Unreadable(f"can't be looked at ({error.strerror})") from error
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("is not a file")
    key = (status.st_dev, status.st_ino)
    if key in seen:
        return None
    seen.add(key)
    return Found(path, status.st_size, status.st_mtime_ns)
