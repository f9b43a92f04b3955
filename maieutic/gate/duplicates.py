"""Duplicates: the same texts but for case, spaces and punctuation, and texts that are nearly the same.

Nearly the same: MinHash (Broder 1997) over runs of three words, 128 permutations in 16 bands of 8 (Lee et al. 2022,
arXiv 2107.06499, deduplicate language models' data with it), Jaccard index estimated from the signatures.

Deviation, and a decision: two texts whose facts differ (numbers, operators, negations, comparisons, names; `words.py`)
are never near duplicates, however alike they are. "A train goes 60 km/h" and "A train goes 90 km/h" are two questions,
and a mathematical data set is full of such pairs; dropping one would be a loss, and keeping one paraphrase too many is
cheap. Two samples with other gold answers are kept both, too. What it costs: a copy with one number mistyped stays.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from maieutic.gate.sample import Sample
from maieutic.gate.words import facts, grams, words
from maieutic.recipes.scratch import scratch
from maieutic.recipes.seen import Seen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHINGLE, BANDS, ROWS = 3, 16, 8
_MOST = 64  # earlier texts that one text is compared with
_CACHE = 32 * 1024  # KiB


class Exact:
    """Reason: the words of all messages have been there before."""

    name = "duplicate"

    def __init__(self) -> None:
        self._seen = Seen()

    def __call__(self, sample: Sample) -> str | None:
        sides = [" ".join(words(text)) for text in (*sample.asked, "\0", *sample.said, "\0", sample.gold or "")]
        return None if self._seen.add("\1".join(sides).encode("utf-8", "replace")) else "exact duplicate"


class Near:
    """Reason: an earlier sample has the same facts and nearly the same words. Signatures lie in a temporary file."""

    name = "near duplicate"

    def __init__(self, threshold: float) -> None:
        import numpy as np

        self._threshold = threshold
        chance = np.random.default_rng(0)
        self._a = chance.integers(1, 2**63, BANDS * ROWS, dtype=np.uint64) | np.uint64(1)
        self._b = chance.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64)
        self._database = scratch(
            "CREATE TABLE texts (id INTEGER PRIMARY KEY, place TEXT, signature BLOB)",
            "CREATE TABLE bands (key BLOB, id INTEGER, PRIMARY KEY (key, id)) WITHOUT ROWID",
            cache=_CACHE,
        )

    def __call__(self, sample: Sample) -> str | None:
        import numpy as np

        signature = self._signature(words(sample.text))
        keys = self._keys(signature, sample)
        marks = ", ".join("?" * len(keys))
        query = f"SELECT DISTINCT id FROM bands WHERE key IN ({marks}) LIMIT {_MOST}"
        for (number,) in self._database.execute(query, keys).fetchall():
            place, blob = self._database.execute(
                "SELECT place, signature FROM texts WHERE id = ?", (number,)
            ).fetchone()
            alike = float(np.mean(np.frombuffer(blob, dtype=np.uint32) == signature))
            if alike >= self._threshold:
                return f"near duplicate of {place} ({alike:.2f})"
        number = self._database.execute(
            "INSERT INTO texts (place, signature) VALUES (?, ?)", (sample.place, signature.tobytes())
        ).lastrowid
        self._database.executemany("INSERT OR IGNORE INTO bands VALUES (?, ?)", [(key, number) for key in keys])
        return None

    def _signature(self, tokens: Sequence[str]) -> "NDArray[np.uint32]":
        """The least value of each permutation over the text's shingles (multiply, shift)."""
        import numpy as np

        shingles = grams(tokens, min(SHINGLE, max(1, len(tokens))))
        hashes = np.unique(shingles)
        least = np.full(BANDS * ROWS, 2**32 - 1, dtype=np.uint32)
        for start in range(0, len(hashes), 1024):
            part = hashes[start : start + 1024, None] * self._a + self._b
            least = np.minimum(least, (part >> np.uint64(32)).astype(np.uint32).min(axis=0))
        return least

    def _keys(self, signature: "NDArray[np.uint32]", sample: Sample) -> list[bytes]:
        """A key a band; the facts are part of it, so that only texts with the same ones ever meet."""
        known = "\0".join([*facts(sample.text), "\1", sample.gold or ""]).encode("utf-8", "replace")
        return [
            blake2b(
                known + bytes([band]) + signature[band * ROWS : (band + 1) * ROWS].tobytes(), digest_size=12
            ).digest()
            for band in range(BANDS)
        ]
