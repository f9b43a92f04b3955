"""Which server of several a request goes to: where its prefix is cached, unless that one is too busy.

Rendezvous hashing with bounded loads: every prefix ranks the servers in an order of its own, and a request goes to the
first of them that isn't much busier than the idlest. A server that comes or goes moves only its own share.
"""

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from maieutic.llm.server.wire import encode_json
from maieutic.types import Request

SLACK = 8  # calls by which the preferred server may be busier than the idlest one, or a quarter where that is more
RAW_PREFIX = 256  # token ids of a raw prompt that are taken for its prefix
_MASK = (1 << 64) - 1


class Routed(Protocol):
    """A server as far as routing is concerned: its own salt, and how many calls it is working on."""

    @property
    def salt(self) -> int: ...

    @property
    def running(self) -> int: ...


R = TypeVar("R", bound=Routed)


def digest(parts: Iterable[bytes]) -> int:
    """64 bits of these bytes, the same in every process."""
    found = hashlib.blake2b(digest_size=8)
    for part in parts:
        found.update(part)
    return int.from_bytes(found.digest(), "big")


def prefix_of(request: Request) -> int:
    """A number for what a request has in common with its siblings and later turns: all up to its first user message."""
    if not request.messages and request.prompt_ids:
        return digest([array("q", request.prompt_ids[:RAW_PREFIX]).tobytes()])
    parts: list[bytes] = []
    for message in request.messages:
        content = message["content"]
        parts.append(content.encode(errors="replace") if isinstance(content, str) else encode_json(content))
        if message["role"] == "user":
            break
    return digest(parts)


def pick(prefix: int, servers: Sequence[R]) -> R:
    """The server for this prefix, among at least one."""
    least = min(server.running for server in servers)
    bound = least + max(SLACK, least // 4)
    return max((s for s in servers if s.running <= bound), key=lambda s: _score(prefix, s.salt))


def _score(prefix: int, salt: int) -> int:
    mixed = ((prefix ^ salt) * 0x9E3779B97F4A7C15) & _MASK
    mixed ^= mixed >> 29
    return (mixed * 0xBF58476D1CE4E5B9 & _MASK) >> 16
