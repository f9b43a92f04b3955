"""Sealed segments: compressed in blocks, each of which can be read by itself, so that one run is read without the rest.

A file is a skippable zstd frame with the table of blocks, then a zstd frame with a checksum for each block: every zstd
tool reads it as one stream. Files that earlier versions have sealed are a single frame, and are read alike.
"""

import struct
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from zlib import crc32

from maieutic.errors import TraceError

BLOCK = 256 * 2**10  # bytes of lines in a block; the last one has fewer
_VERSION = 1
_MAGIC, _MARK = 0x184D2A5D, b"maieutic"
_HEAD = struct.Struct(
    "<II8sIIQI"
)  # magic, bytes that follow, mark, version, bytes a block, bytes in all, crc of the rest
_BEFORE = 8  # bytes of a skippable frame that its length doesn't count


@dataclass(frozen=True, slots=True)
class Table:
    """Where the blocks of a sealed segment lie: block i from `starts[i]` to `starts[i + 1]`. `size` are the bytes of
    all lines, `block` those of a block."""

    size: int
    block: int
    starts: tuple[int, ...]


def compress(data: bytes) -> bytes:
    """A sealed segment of these lines."""
    import zstandard

    compressor = zstandard.ZstdCompressor(write_checksum=True)
    blocks = [compressor.compress(data[start : start + BLOCK]) for start in range(0, len(data), BLOCK)]
    sizes = struct.pack(f"<{len(blocks)}I", *map(len, blocks))
    follow = _HEAD.size - _BEFORE + len(sizes)
    check = crc32(struct.pack("<IIQ", _VERSION, BLOCK, len(data)) + sizes)
    return b"".join([_HEAD.pack(_MAGIC, follow, _MARK, _VERSION, BLOCK, len(data), check), sizes, *blocks])


def table_of(path: Path) -> Table | None:
    """The table of a sealed segment; None for one of a single frame. TraceError where it is damaged or of a newer
    version, FileNotFoundError where there is none."""
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
        if head[:4] != _MAGIC.to_bytes(4, "little"):
            return None
        if len(head) < _HEAD.size:
            raise _damaged(path, "it ends in its table")
        _, follow, mark, version, block, size, check = _HEAD.unpack(head)
        if mark != _MARK:
            raise _damaged(path, "it has no table of blocks")
        if version > _VERSION:
            raise TraceError(f"{path} was sealed by a newer Maieutic: upgrade it with pip install -U maieutic.")
        sizes = file.read(max(0, follow + _BEFORE - _HEAD.size))
        length = file.seek(0, 2)
    if len(sizes) % 4 or crc32(struct.pack("<IIQ", version, block, size) + sizes) != check:
        raise _damaged(path, "its table of blocks is not what was written")
    starts = tuple(accumulate(struct.unpack(f"<{len(sizes) // 4}I", sizes), initial=follow + _BEFORE))
    if starts[-1] != length:
        raise _damaged(path, f"it has {length} bytes instead of {starts[-1]}")
    return Table(size, block, starts)


def read_block(path: Path, table: Table, number: int) -> bytes:
    """The lines' bytes in one block, whole. TraceError where it can't be decompressed."""
    with path.open("rb") as file:
        file.seek(table.starts[number])
        data = file.read(table.starts[number + 1] - table.starts[number])
    return _decompressed(path, data)


def read_all(path: Path, start: int = 0) -> bytes:
    """The bytes of a sealed segment from `start` on, whichever way it was sealed. TraceError where it is damaged."""
    table = table_of(path)
    if table is None:
        return _decompressed(path, path.read_bytes())[start:]
    first = start // table.block
    blocks = [read_block(path, table, number) for number in range(first, len(table.starts) - 1)]
    return b"".join(blocks)[start - first * table.block :]


def size_of(path: Path) -> int:
    """Bytes of the lines, without decompressing them. TraceError where the file is damaged."""
    import zstandard

    table = table_of(path)
    if table is not None:
        return table.size
    with path.open("rb") as file:
        beginning = file.read(18)
    try:
        size = zstandard.frame_content_size(beginning)
    except zstandard.ZstdError as error:
        raise _damaged(path, error) from error
    if size <= 0:  # a segment has its header at least
        raise _damaged(path, "it does not say how long it is")
    return size


def _decompressed(path: Path, data: bytes) -> bytes:
    import zstandard

    try:
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, why: object) -> TraceError:
    return TraceError(
        f"The sealed segment {path} is damaged and can't be decompressed ({why}): move it out of the directory to read "
        "the others."
    )
