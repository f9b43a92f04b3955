"""Longest common prefixes among the sequences of one run, each distinct part kept once.

A run of N turns repeats its past N times; the tree finds, in time linear in the new sequence, which earlier call
shares the most with it, so that only the rest needs to be written.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from sys import byteorder

WIDTH = 4  # bytes an id


def pack(ids: Iterable[int]) -> bytes:
    """Ids as little-endian unsigned 32-bit integers; OverflowError for an id outside their range."""
    packed = array("I", ids)
    if byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpack(packed: bytes) -> tuple[int, ...]:
    """The ids again."""
    ids = array("I", packed)
    if byteorder == "big":
        ids.byteswap()
    return tuple(ids)


@dataclass(slots=True)
class _Edge:
    ids: bytes
    owner: str
    children: "dict[bytes, _Edge]" = field(default_factory=dict)


class PrefixTree:
    """A radix tree over packed ids; every edge names one sequence that runs through it."""

    def __init__(self) -> None:
        self._root = _Edge(b"", "")

    def find(self, ids: bytes) -> tuple[str | None, int]:
        """The owner that shares the longest prefix with `ids`, and that prefix's length in ids."""
        _, _, owner, position = self._walk(ids)
        return owner, position // WIDTH

    def add(self, ids: bytes, owner: str) -> None:
        """Remember a sequence; nothing is stored for the part that is there already."""
        edge, inside, _, position = self._walk(ids)
        if position == len(ids):
            return
        if inside < len(edge.ids):
            self._split(edge, inside)
        edge.children[ids[position : position + WIDTH]] = _Edge(ids[position:], owner)

    def _walk(self, ids: bytes) -> tuple[_Edge, int, str | None, int]:
        """The deepest edge reached, how far inside it, the owner met last, and how much of `ids` matched, in bytes."""
        edge, position, owner = self._root, 0, None
        while (child := edge.children.get(ids[position : position + WIDTH])) is not None:
            shared = _common(child.ids, ids[position : position + len(child.ids)])
            edge, owner, position = child, child.owner, position + shared
            if shared < len(child.ids):
                return edge, shared, owner, position
        return edge, len(edge.ids), owner, position

    @staticmethod
    def _split(edge: _Edge, at: int) -> None:
        lower = _Edge(edge.ids[at:], edge.owner, edge.children)
        edge.ids, edge.children = edge.ids[:at], {lower.ids[:WIDTH]: lower}


def _common(a: bytes, b: bytes) -> int:
    """Length in bytes, a multiple of the width, of what two sequences share from their beginning."""
    if a.startswith(b):
        return len(b)
    low, high = 0, min(len(a), len(b)) // WIDTH
    while low < high:
        middle = (low + high + 1) // 2
        if a[low * WIDTH : middle * WIDTH] == b[low * WIDTH : middle * WIDTH]:
            low = middle
        else:
            high = middle - 1
    return low * WIDTH
