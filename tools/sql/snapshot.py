"""A look at a database file, by a process of its own: what it is, and a copy of it where it can't be read as it lies.

A process of its own, because closing a file drops all the locks that a process holds on it, those of the user's own
connection too. A SQLite file in WAL mode is copied with what its WAL has committed: to read it in place would need
files beside it. Nothing beside the database is made, changed or removed. Run as a script on the standard library.
"""

import json
import os
import shutil
import sqlite3
import sys
import time
from pathlib import Path
from urllib.parse import quote

TRIES = 20
_MAGIC = b"SQLite format 3\0"


class Unusable(Exception):
    """The sentence says why the file can't be used."""


def look(path: Path, folder: Path, must_copy: bool) -> dict[str, str]:
    """The file's kind and where to read it: itself, or a copy in `folder`."""
    with path.open("rb") as file:
        header = file.read(100)
    if header[8:12] == b"DUCK":
        return {"kind": "duckdb", "path": str(_copied(path, folder, (".wal",)) if must_copy else path)}
    if header and not header.startswith(_MAGIC):
        raise Unusable(f"{path.name} is neither a SQLite nor a DuckDB database")
    in_wal_mode = 2 in header[18:20]
    if not in_wal_mode and not must_copy and not _size(path, "-journal"):
        return {"kind": "sqlite", "path": str(path)}
    if _size(path, "-wal") and not os.path.exists(f"{path}-shm") or (in_wal_mode and not _size(path, "-wal")):
        copy = _copied(path, folder, ("-wal",))
    else:
        copy = _backed_up(path, folder)
    with sqlite3.connect(copy) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    return {"kind": "sqlite", "path": str(copy)}


def _backed_up(path: Path, folder: Path) -> Path:
    """A copy made by SQLite itself, beside whoever is writing."""
    _need_room(path, folder)
    copy = folder / "copy"
    source = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&readonly_shm=1", uri=True, timeout=5)
    try:
        target = sqlite3.connect(copy)
        try:
            source.backup(target)
        finally:
            target.close()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_READONLY_ROLLBACK":
            raise Unusable(
                f"{path.name} was left in the middle of a write: open it once with the program that writes it"
            ) from error
        if "locked" in str(error):
            raise Unusable(f"{path.name} is locked by another program: try again when it has finished") from error
        raise Unusable(f"{path.name} can't be read: {error}") from error
    finally:
        source.close()
    return copy


def _copied(path: Path, folder: Path, suffixes: tuple[str, ...]) -> Path:
    """The files as they lie, copied between two looks that find them unchanged."""
    _need_room(path, folder)
    for _ in range(TRIES):
        before = _state(path, suffixes)
        for suffix in ("", *suffixes):
            target = Path(f"{folder / 'copy'}{suffix}")
            target.unlink(missing_ok=True)
            if _size(path, suffix):
                shutil.copyfile(f"{path}{suffix}", target)
            elif not suffix:
                target.touch()
        if _state(path, suffixes) == before:
            return folder / "copy"
        time.sleep(0.1)
    raise Unusable(f"{path.name} keeps changing while it is copied: try again when it is written less")


def _state(path: Path, suffixes: tuple[str, ...]) -> list[tuple[int, ...] | None]:
    found: list[tuple[int, ...] | None] = []
    for suffix in ("", *suffixes):
        try:
            status = os.stat(f"{path}{suffix}")
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        except FileNotFoundError:
            found.append(None)
    return found


def _size(path: Path, suffix: str) -> int:
    try:
        return os.stat(f"{path}{suffix}").st_size
    except FileNotFoundError:
        return 0


def _need_room(path: Path, folder: Path) -> None:
    needed = _size(path, "") + 2 * _size(path, "-wal")
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise Unusable(f"{path.name} has to be copied to be read, and {folder} has room for {free >> 20} MiB only")


def main() -> None:
    """PATH FOLDER MUST_COPY in, one JSON object out."""
    path, folder, must_copy = sys.argv[1:4]
    try:
        found = look(Path(path), Path(folder), must_copy == "copy")
        for copy in Path(folder).iterdir():
            copy.chmod(0o444)
    except Unusable as error:
        found = {"error": str(error)}
    except OSError as error:
        found = {"error": f"{Path(path).name} can't be read: {error.strerror or error}"}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
