"""The body of a response, unpacked piece by piece up to a limit: a few bytes can unpack to gigabytes."""

import zlib
from collections.abc import AsyncIterable

from maieutic.errors import ToolError

ACCEPTED = "gzip, deflate"
_PLAIN = {"", "identity"}
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_STEP = 65_536


class Unpacking:
    """Takes a body's bytes as they come; `full` once it has `limit` bytes."""

    def __init__(self, encoding: str, limit: int) -> None:
        """Raises ToolError for an encoding that was not asked for."""
        encoding = encoding.strip().lower()
        if encoding not in _PLAIN and encoding not in _WINDOWS:
            raise ToolError(f"the server packs its answers with {encoding[:40]!r}, which was not asked for")
        self._encoding, self._limit = encoding, limit
        self._decoder = zlib.decompressobj(_WINDOWS[encoding]) if encoding in _WINDOWS else None
        self._begun = False
        self.body = bytearray()

    @property
    def full(self) -> bool:
        return len(self.body) > self._limit

    @property
    def complete(self) -> bool:
        return self._decoder is None or self._decoder.eof or not self._begun

    def take(self, data: bytes) -> None:
        """Raises ToolError for what can't be unpacked."""
        if self._decoder is None:
            self.body += data
            return
        while data and not self.full:
            try:
                self.body += self._decompress(data)
            except zlib.error as error:
                raise ToolError("what the server sent can't be unpacked") from error
            data = self._decoder.unconsumed_tail or self._decoder.unused_data
            if self._decoder.eof and data:  # gzip may go on with another member; padding is left alone
                if self._encoding == "deflate" or not data.startswith(b"\x1f\x8b"):
                    return
                self._decoder = zlib.decompressobj(31)

    def _decompress(self, data: bytes) -> bytes:
        assert self._decoder is not None
        first, self._begun = not self._begun, True
        try:
            return self._decoder.decompress(data, _STEP)
        except zlib.error:
            if not first or self._encoding != "deflate":
                raise
            self._decoder = zlib.decompressobj(-15)  # many servers mean raw deflate by that name
            return self._decoder.decompress(data, _STEP)


async def unpacked(parts: AsyncIterable[bytes], encoding: str, limit: int) -> tuple[bytes, str | None]:
    """The body and, where it is not whole, why it was cut. Reads no further than `limit`. Raises ToolError."""
    unpacking = Unpacking(encoding, limit)
    async for part in parts:
        unpacking.take(part)
        if unpacking.full:
            return bytes(unpacking.body[:limit]), f"only its first {limit / 2**20:g} MiB were read"
    return bytes(unpacking.body), None if unpacking.complete else "its end is missing"
