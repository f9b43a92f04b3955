"""Making files ready for the sandbox: which are bound where, and copies of those that can't be read as they lie."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from maieutic.errors import MissingExtra, UserError
from maieutic.tools.artifacts import harmless
from maieutic.tools.sql import snapshot
from maieutic.tools.sql.database import Database, reader_of

State = tuple[tuple[int, ...] | None, ...]
_LONGEST_SECONDS = 600.0


@dataclass(frozen=True)
class Staged:
    """What a worker is given: `binds`, and within them the database at `path` or the tables in `files`.

    `state` is what it was made from, to be compared later; `folder` holds copies, which this owns.
    """

    engine: Literal["sqlite", "duckdb"]
    binds: Mapping[str, Path]
    path: str = ""
    files: tuple[dict[str, str], ...] = ()
    watched: tuple[tuple[Path, bool], ...] = ()
    state: State = ()
    folder: Path | None = field(default=None, compare=False)

    def close(self) -> None:
        """Remove the copies."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def stage(database: Database) -> Staged:
    """Make a database ready. Raises UserError, in a sentence that says what is wrong with it."""
    folder = Path(tempfile.mkdtemp(prefix="maieutic-sql-"))
    try:
        match database.kind:
            case "file":
                assert database.path is not None
                return _stage_file(database.path, folder)
            case "files":
                return _stage_files(database.files, folder)
            case _:
                return _stage_files(_written(database.frames, folder), folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def changed(staged: Staged) -> bool:
    """Whether what it was made from has become something else: for a copy whatever is written, else another file."""
    return _state(staged.watched) != staged.state


def _stage_file(path: Path, folder: Path) -> Staged:
    watched: tuple[tuple[Path, bool], ...] = (
        (path, False),
        (Path(f"{path}-wal"), False),
        (Path(f"{path}-journal"), False),
    )
    state = _state(watched)
    found = _look(path, folder)
    engine: Literal["sqlite", "duckdb"] = "duckdb" if found["kind"] == "duckdb" else "sqlite"
    place = Path(found["path"])
    if place == path:  # read as it lies, with the engine's own locks
        watched = ((path, True), (Path(f"{path}-wal"), True))
        state = _state(watched)
    binds = {"/data/database": place}
    if engine == "duckdb" and Path(f"{place}.wal").exists():
        binds["/data/database.wal"] = Path(f"{place}.wal")
    return Staged(engine, binds, "/data/database", watched=watched, state=state, folder=folder)


def _look(path: Path, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-I", "-S", snapshot.__file__, str(path), str(folder)]
    try:
        done = subprocess.run(
            [*command, "copy" if _is_hidden_from_workers(path) else "look"],
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            stdin=subprocess.DEVNULL,
        )
        found: dict[str, Any] = json.loads(done.stdout)
    except (ValueError, subprocess.TimeoutExpired) as error:
        raise UserError(f"The database {path.name} could not be looked at: try again.") from error
    if "error" in found:
        raise UserError(f"The database can't be used: {found['error']}.")
    return found


def _is_hidden_from_workers(path: Path) -> bool:
    """Whether root alone may read it: root's workers give up root."""
    try:
        return os.geteuid() == 0 and not path.stat().st_mode & 0o004
    except OSError:
        return False


def _stage_files(files: Mapping[str, Path], folder: Path) -> Staged:
    binds: dict[str, Path] = {}
    listed = []
    for number, (name, path) in enumerate(files.items()):
        if not os.access(path, os.R_OK):
            raise UserError(f"The file {path.name} can't be read: give yourself the right to read it.")
        place = path
        if _is_hidden_from_workers(path):
            place = folder / f"{number}"
            shutil.copyfile(path, place)
            place.chmod(0o444)
        inside = f"/data/{number}-{harmless(path.name)}"
        binds[inside] = place
        listed.append({"name": name, "path": inside, "reader": reader_of(path)})
    watched = tuple((path, True) for path in files.values())
    return Staged("duckdb", binds, files=tuple(listed), watched=watched, state=_state(watched), folder=folder)


def _written(frames: Mapping[str, Any], folder: Path) -> dict[str, Path]:
    """Each data frame as a Parquet file."""
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtra("A data frame as a table", "sql") from error
    files = {}
    for number, (name, frame) in enumerate(frames.items()):
        path = folder / f"frame-{number}.parquet"
        try:
            if hasattr(frame, "write_parquet"):  # Polars, and DuckDB's own relations
                frame.write_parquet(str(path))
            else:
                with duckdb.connect() as connection:
                    connection.register("frame", frame)
                    connection.execute(f"COPY frame TO '{path}' (FORMAT parquet)")
        except Exception as error:  # whatever kind of object it is
            said = " ".join(str(error).split())[:200]
            raise UserError(f"{name} can't be read as a table: give a pandas, Polars or Arrow one ({said}).") from error
        path.chmod(0o444)
        files[name] = path
    return files


def _state(watched: tuple[tuple[Path, bool], ...]) -> State:
    """Which files these are; and how they are, but for those that the engine itself looks after."""
    found: list[tuple[int, ...] | None] = []
    for path, only_which in watched:
        try:
            status = os.stat(path)
        except OSError:
            found.append(None)
            continue
        which = (status.st_dev, status.st_ino)
        found.append(which if only_which else (*which, status.st_size, status.st_mtime_ns))
    return tuple(found)
