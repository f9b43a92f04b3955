"""Where indexes are kept, by name: a folder each in the state directory, and one writer at a time."""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maieutic.errors import UnknownName, UserError
from maieutic.settings import state_dir
from maieutic.tools.retrieval.store import FILE

LOCK = ".lock"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Shelf:
    """The indexes in one directory."""

    def __init__(self, root: Path | None = None) -> None:
        """`root` is `indexes` in the state directory where none is given."""
        self.root = root or state_dir() / "indexes"

    def names(self) -> list[str]:
        return sorted(path.parent.name for path in self.root.glob(f"*/{FILE}") if not path.parent.name.startswith("."))

    def place(self, name: str) -> Path:
        """The folder of the index `name`, whether it is there or not. UserError for a name that can't be one."""
        if not _NAME.fullmatch(name):
            raise UserError(f"{name!r} can't be the name of an index: use letters, digits, '.', '_' and '-'.")
        return self.root / name

    def find(self, name: str) -> Path:
        """The folder of an index that is there. Raises UnknownName."""
        folder = self.place(name)
        if not (folder / FILE).exists():
            if not self.names():
                raise UserError(f"There is no index {name!r}: make it with maieutic index PATH --name {name}.")
            raise UnknownName("index", name, self.names())
        return folder

    def only(self) -> str:
        """The name of the only index there is. UserError where there is none, or more than one."""
        names = self.names()
        if len(names) == 1:
            return names[0]
        if not names:
            raise UserError("There is no index yet: make one with maieutic index PATH --name NAME.")
        raise UserError(f"There are several indexes ({', '.join(names)}): say which with --index NAME.")

    def remove(self, name: str) -> None:
        """Remove an index; what it was made from is not touched. UserError while it is being written."""
        folder = self.find(name)
        with claimed(folder):
            gone = folder.with_name(f".{name}.removed-{os.getpid()}")
            os.rename(folder, gone)
            shutil.rmtree(gone)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold an index for writing. UserError where another process has it, or it can't be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(f"{folder} can't be written to ({error.strerror}).") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise UserError(f"Another process is writing the index {folder.name}: wait until it is done.") from None
    try:
        yield
    finally:
        os.close(lock)
