"""Files that are written whole or not at all, and the hash of several files."""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

_BLOB = re.compile(r"[0-9a-f]{64}")


def write_whole(path: Path, text: str | Iterable[str]) -> None:
    """Write a text file, also from its lines as they come, so that a reader sees the old one or the new one, whatever
    happens between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines([text] if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def digest(data: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256, which is how weights and templates are named."""
    return hashlib.sha256(data).hexdigest()[:16]


def digest_of_files(paths: Iterable[Path]) -> str:
    """One hash for several files: the beginning of what `sha256sum FILES | sha256sum` prints in their folder."""
    lines = (f"{_sha256(path)}  {path.name}\n" for path in sorted(paths, key=lambda path: path.name))
    return digest("".join(lines).encode())


def _sha256(path: Path) -> str:
    target = path.resolve()
    if path.is_symlink() and target.parent.name == "blobs" and _BLOB.fullmatch(target.name):
        return target.name  # the hub's cache names large files by this very hash
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
