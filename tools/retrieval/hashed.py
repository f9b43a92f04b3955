"""The embedder without a model: words and parts of words, each hashed to a few signed coordinates.

It knows no meanings, only spellings: near forms of a word (index, indexes, reindexing) lie near each other. Documents
are embedded without regard to their neighbours, so that an index that grew is the same as one made at once; how much a
word of the query counts depends on how rare it is in the index (Sparck Jones 1972), from counts that the index keeps.
The projection is sparse and signed (Achlioptas 2003; Weinberger et al. 2009).
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from math import log
from typing import TYPE_CHECKING

from maieutic.tools.retrieval.embedder import Identity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from maieutic.tools.retrieval.embedder import Vectors

DIMENSIONS = 1024
BUCKETS = 1 << 16  # of the counts of words
COORDINATES = 8  # of one word or part
PART, PART_WEIGHT = 4, 0.35
_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Hashed:
    """`counts[b]` says how many of `pieces` indexed pieces of text have a word that hashes to bucket `b`."""

    weight = 0.3  # best of 0.2 to 1 on 600 queries of the collection in benchmarks/retrieval.py, seed 8

    def __init__(self, counts: "NDArray[np.int32] | None" = None, pieces: int = 0) -> None:
        self._counts = counts
        self._pieces = pieces

    @property
    def identity(self) -> Identity:
        return Identity("hashed", DIMENSIONS, "1")

    def documents(self, texts: Sequence[str]) -> "Vectors":
        import numpy as np

        return np.stack([_vector({word: 1 + log(n) for word, n in _words(text).items()}) for text in texts])

    def query(self, text: str) -> "Vectors":
        return _vector({word: (1 + log(n)) * self._rarity(word) ** 2 for word, n in _words(text).items()})

    def _rarity(self, word: str) -> float:
        """1 where nothing is known of how often words occur; squared, because documents are not weighted."""
        if self._counts is None or not self._pieces:
            return 1.0
        return log((1 + self._pieces) / (1 + int(self._counts[_bucket(word)])))


def count_words(texts: Iterable[str]) -> "NDArray[np.int32]":
    """In how many of `texts` a word of each bucket occurs."""
    import numpy as np

    counts = np.zeros(BUCKETS, dtype=np.int32)
    for text in texts:
        counts[list({_bucket(word) for word in _words(text)})] += 1
    return counts


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(_HUMP.sub(" ", text).lower()))


def _vector(weights: dict[str, float]) -> "Vectors":
    import numpy as np

    if not weights:
        return np.zeros(DIMENSIONS, dtype=np.float32)
    parts = [_coordinates(word) for word in weights]
    values = np.concatenate([part[1] for part in parts])
    values = values * np.repeat(list(weights.values()), [len(part[1]) for part in parts])
    vector = np.bincount(np.concatenate([part[0] for part in parts]), values, DIMENSIONS)
    length = float(np.linalg.norm(vector))
    return (vector / (length or 1.0)).astype(np.float32)


@lru_cache(maxsize=1 << 16)
def _bucket(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=4).digest(), "big") % BUCKETS


@lru_cache(maxsize=1 << 16)
def _coordinates(word: str) -> "tuple[NDArray[np.int16], NDArray[np.float32]]":
    """Where a word and its parts go, and with which weight."""
    import numpy as np

    edged = f"<{word}>"
    parts = [edged[i : i + PART] for i in range(len(edged) - PART + 1)] if len(word) > 2 else []
    names = [word, *(f"#{part}" for part in parts)]
    drawn = np.frombuffer(b"".join(_draw(name) for name in names), dtype="<u2")
    sign = np.where(drawn & 0x8000, 1.0, -1.0)
    weight = np.repeat([1.0] + [PART_WEIGHT] * len(parts), COORDINATES)
    return (drawn % DIMENSIONS).astype(np.int16), (sign * weight).astype(np.float32)


def _draw(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=2 * COORDINATES).digest()
