"""Files that tools made, copied into the folder of their run.

What makes them is model-written code: names are reduced to harmless characters, an existing file is never replaced,
and a run keeps so many files and bytes and no more.
"""

import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_HARMFUL = re.compile(r"[^\w.-]+")
_LONGEST = 80

Copy = Callable[[BinaryIO, int], int | None]
"""Writes a file's bytes, at most so many, and says how many; None where the file can't be had."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that was kept: what it was called, where it lies now, and its size in bytes."""

    name: str
    path: Path
    size: int


class Artifacts:
    """The folder of one run, made when the first file comes. `files` and `size` (bytes) bound what is kept."""

    def __init__(self, folder: Path, files: int = 200, size: int = 256 << 20) -> None:
        self.folder = folder
        self._files_left = files
        self._bytes_left = size

    def keep(self, name: str, size: int, copy: Copy) -> Artifact | None:
        """Copy a file that is said to be of `size` bytes. None where there is no room left, or no such file."""
        if self._files_left < 1 or size > self._bytes_left:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f".part-{secrets.token_hex(8)}"
        try:
            with part.open("xb") as file:
                copied = copy(file, min(size, self._bytes_left))
                if copied is None:
                    return None
                file.flush()
                os.fsync(file.fileno())
            path = self._name(part, harmless(name))
        finally:
            with suppress(FileNotFoundError):
                part.unlink()
        self._files_left -= 1
        self._bytes_left -= copied
        return Artifact(name, path, copied)

    def _name(self, part: Path, name: str) -> Path:
        """Give the finished file its name, or the first of NAME-2, NAME-3, … that is free."""
        stem, suffix = os.path.splitext(name)
        number = 1
        while True:
            path = self.folder / (name if number == 1 else f"{stem}-{number}{suffix}")
            try:
                os.link(part, path)
                return path
            except FileExistsError:
                number += 1


def harmless(name: str) -> str:
    """A file name of letters, digits, dots, dashes and underscores that isn't hidden, from any path."""
    stem, suffix = os.path.splitext(_HARMFUL.sub("_", name.replace("/", "-")).lstrip(".-"))
    return (stem[: _LONGEST - len(suffix[:10])] or "file") + suffix[:10]
