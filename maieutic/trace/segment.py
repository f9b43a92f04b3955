r"""Segments: the files of a trace. Framing with length and checksum, torn tails, sealing.

A line is `{"crc":"<8 hex>","len":"<8 digits>","e":<payload>}\n`: JSON as a whole, and with an envelope of fixed width
so that the payload's exact bytes can be cut out and checked before anything is parsed.
"""

import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from maieutic.errors import TraceError, UserError
from maieutic.trace.blocks import compress, read_all, size_of
from maieutic.trace.record import FORMAT_VERSION

_NAME = re.compile(r"\d{8}T\d{9}-\d+-[0-9a-f]{8}")
_FRAME = re.compile(rb'\{"crc":"([0-9a-f]{8})","len":"(\d{8})","e":')
ENVELOPE = len(b'{"crc":"01234567","len":"01234567","e":')
TAIL = b"}\n"
MAX_PAYLOAD = 99_999_999  # what eight digits can say
_OF_SHARDS = "shard-*-of-*/traces/*.jsonl*"
PLAIN, SEALED = ".jsonl", ".jsonl.zst"


class Newer(TraceError):
    """A segment that a newer version wrote: nothing of its directory is read, since it may say more of the others."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Where a segment stops being readable. `torn` is a last line cut short; anything else is corruption."""

    offset: int
    torn: bool


def new_name(previous: str = "") -> str:
    """A name no other process will choose, and that sorts by time, after `previous` in any case."""
    now = time.time()
    while (stamp := _stamp(now)) <= previous[: len(stamp)]:
        now += 0.001
    return f"{stamp}-{os.getpid()}-{secrets.token_hex(4)}"


def _stamp(now: float) -> str:
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f"{int(now * 1000) % 1000:03d}"


def frame(payload: bytes) -> bytes:
    """One line of a segment; TraceError when the payload is too long for the envelope."""
    if len(payload) > MAX_PAYLOAD:
        raise TraceError(f"A trace line of {len(payload)} bytes is too long: the format ends at {MAX_PAYLOAD}.")
    return b'{"crc":"%08x","len":"%08d","e":%b}\n' % (crc32(payload), len(payload), payload)


def first_line(writer: str) -> bytes:
    """The header that every segment starts with."""
    header = {"kind": "segment", "format": FORMAT_VERSION, "writer": writer, "created": time.time()}
    return frame(json.dumps({**header, "id": secrets.token_hex(16)}).encode("ascii"))


def scan(data: bytes, start: int = 0) -> Iterator[tuple[int, bytes] | Damage]:
    """Offsets and payloads of the lines in `data`, ended by a `Damage` where the rest can't be read.

    A line that ends nowhere is torn: its process was killed, or is still writing it. A line that has an end but
    does not agree with its envelope is corrupt.
    """
    offset = start
    while offset < len(data):
        payload = cut(data, offset)
        if payload is None:
            yield Damage(offset, torn=data.find(b"\n", offset) < 0)
            return
        yield offset, payload
        offset += ENVELOPE + len(payload) + len(TAIL)


def cut(data: bytes, offset: int) -> bytes | None:
    """The payload of the line at `offset`, or None where there is no whole, undamaged line."""
    envelope = _FRAME.match(data, offset)
    if envelope is None:
        return None
    begin = offset + ENVELOPE
    end = begin + int(envelope[2])
    payload = data[begin:end]
    if data[end : end + len(TAIL)] != TAIL or crc32(payload) != int(envelope[1], 16):
        return None
    return payload


def check_version(name: str, payload: bytes) -> None:
    """Refuse a segment that a newer version wrote, or that does not begin as a segment does."""
    try:
        header = json.loads(payload)
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("kind") != "segment" or not isinstance(header.get("format"), int):
        raise TraceError("it does not begin as a trace of Maieutic does")
    if header["format"] > FORMAT_VERSION:
        raise Newer(
            f"{name} was written in trace format {header['format']} and this Maieutic reads up to {FORMAT_VERSION}: "
            "upgrade it with pip install -U maieutic."
        )


def list_segments(root: Path) -> dict[str, Path]:
    """The segments of a directory by name, in order of time; the sealed file where both exist.

    Those of the shards of a collection are among them: their names differ, so that they read as one directory.
    UserError where the directory can't be read.
    """
    found: dict[str, Path] = {}
    try:
        paths = [*root.iterdir(), *root.glob(_OF_SHARDS)]
    except OSError as error:
        raise UserError(
            f"The traces in {root} can't be read ({error.strerror}): make the directory readable."
        ) from error
    for path in sorted(paths, key=lambda path: path.name):
        name = path.name.removesuffix(".zst").removesuffix(PLAIN)
        if path.name in (name + PLAIN, name + SEALED) and _NAME.fullmatch(name):
            found[name] = path
    return dict(sorted(found.items()))


def size(path: Path) -> int:
    """Bytes of the segment's lines, without decompressing them."""
    return path.stat().st_size if path.suffix != ".zst" else size_of(path)


def load(path: Path, start: int = 0) -> bytes:
    """The segment's bytes from `start` on; follows a segment that is sealed meanwhile."""
    if path.suffix != ".zst":
        try:
            with path.open("rb") as file:
                file.seek(start)
                return file.read()
        except FileNotFoundError:
            path = path.with_name(path.name + ".zst")
    return read_all(path, start)


def unreadable(path: Path, error: OSError) -> TraceError:
    """The sentence about a segment that the system doesn't let us read."""
    return TraceError(
        f"Segment {path} can't be read ({error.strerror}): make it readable, or move it out of the directory to "
        "read the others."
    )


def being_written(path: Path) -> bool:
    """Whether a live process holds the segment open for writing."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # sealed meanwhile, or a file system without locks
        return False
    return False


def seal(path: Path) -> Path:
    """Compress a finished segment beside itself and remove the plain file; returns the sealed one's path."""
    sealed = path.with_name(path.name + ".zst")
    temporary = path.with_name(f".{sealed.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(compress(path.read_bytes()))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, sealed)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
    path.unlink()
    return sealed


def sync_directory(path: Path) -> None:
    """Make the names in a directory as durable as the files they name."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
