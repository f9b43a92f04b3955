"""Files that come with a task, made ready for a sandbox to read.

They are copied once a run into a folder that every user may read: a worker runs as nobody, and its cells may keep a
file open while its owner writes it.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from maieutic.errors import TaskError, ToolError
from maieutic.tools.artifacts import harmless

FOLDER = "in"  # as a cell sees it, below its working directory


class Inputs:
    """The files of one run, copied at the first use; `database` is the path or URL that its task names."""

    def __init__(self, paths: Iterable[Path] = (), database: str | None = None) -> None:
        self.database = database
        self._named = named(paths)
        self._folder: Path | None = None
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._named)

    @property
    def copied(self) -> bool:
        """Whether there are copies to be removed."""
        return self._folder is not None

    def folder(self) -> Path:
        """The folder that holds the copies. Raises ToolError for a file that can't be read."""
        with self._lock:
            if self._folder is None:
                folder = Path(tempfile.mkdtemp(prefix="maieutic-inputs-"))
                try:
                    self._copy_into(folder)
                except BaseException:
                    shutil.rmtree(folder, ignore_errors=True)
                    raise
                self._folder = folder
            return self._folder

    def close(self) -> None:
        """Remove the copies."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _copy_into(self, folder: Path) -> None:
        folder.chmod(0o755)
        for name, path in self._named.items():
            try:
                shutil.copyfile(path, folder / name)
            except OSError as error:
                raise ToolError(f"The file {path.name} can't be read: {error.strerror}.") from error
            os.chmod(folder / name, 0o444)


def named(paths: Iterable[Path]) -> dict[str, Path]:
    """The files by the names that they have in the sandbox, where two of one name are told apart."""
    result: dict[str, Path] = {}
    for path in paths:
        name, number = harmless(path.name), 2
        while name in result:
            stem, suffix = os.path.splitext(harmless(path.name))
            name, number = f"{stem}-{number}{suffix}", number + 1
        result[name] = path
    return result


def files_of(inputs: Mapping[str, Any]) -> list[Path]:
    """The paths in a task's `inputs["files"]`. Raises TaskError where these are no paths."""
    files = inputs.get("files", [])
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise TaskError('The task\'s input "files" must be a list of paths.')
    return [Path(file) for file in files]


def database_in(inputs: Mapping[str, Any]) -> str | None:
    """The path or URL in a task's `inputs["database"]`. Raises UserError where it is none, or shows a password."""
    database = inputs.get("database")
    if database is None:
        return None
    if not isinstance(database, str) or not database:
        raise TaskError('The task\'s input "database" must be a path or a URL.')
    from maieutic.tools.sql.database import openly

    return openly(database)
