"""A claim: one process at a time collects into a directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maieutic.errors import UserError

LOCK = ".lock"


class Claimed(UserError):
    """Somebody else has it."""


@contextmanager
def claimed(out: Path, name: str = LOCK) -> Iterator[None]:
    """Hold the directory for this process. UserError where another one has it."""
    try:
        lock = os.open(out / name, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(f"{out} can't be written to ({error.strerror}): give another directory.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Claimed(f"Another process is collecting into {out}: wait for it, or give another directory.") from None
    finally:
        os.close(lock)
