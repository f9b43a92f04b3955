"""How like each other texts are: their vectors by an embedder, kept beside them in a journal as base64 of float32."""

import base64
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from maieutic.memory.journal import Entry, Journal
from maieutic.tools.retrieval.embedder import Embedder
from maieutic.tools.retrieval.hashed import Hashed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass
class Shelf:
    """The entries of a journal, found again by the likeness of one of their fields to a text (cosine of the vectors).

    An entry whose vector is another embedder's, or has none, is embedded anew when it is read. By default the embedder
    without a model is used: it knows spellings, not meanings, and needs nothing.
    """

    journal: Journal
    by: str
    embedder: Embedder = field(default_factory=Hashed)
    _vectors: "list[NDArray[np.float32]]" = field(default_factory=list, init=False)
    _known: list[Entry] = field(default_factory=list, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries with their vectors."""
        if not entries:
            return
        vectors = self.embedder.documents([str(entry[self.by]) for entry in entries])
        name = self._name()
        written = [
            {**entry, "embedder": name, "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode()}
            for entry, vector in zip(entries, vectors, strict=True)
        ]
        self.journal.append(written)

    def nearest(self, text: str, threshold: float) -> list[tuple[Entry, float]]:
        """Entries at least so like `text`, the likest first; of those that are equally like it, the newest first."""
        import numpy as np

        with self._lock:
            entries = self._caught_up()
            if not entries:
                return []
            likeness = [float(value) for value in np.stack(self._vectors) @ self.embedder.query(text)]
        order = sorted(range(len(entries)), key=lambda i: (-round(likeness[i], 6), -i))
        return [(entries[i], likeness[i]) for i in order if likeness[i] >= threshold]

    def _caught_up(self) -> list[Entry]:
        entries = [entry for entry in self.journal.entries() if isinstance(entry.get(self.by), str)]
        if len(entries) < len(self._known) or entries[: len(self._known)] != self._known:
            self._known, self._vectors = [], []
        for entry in entries[len(self._known) :]:
            self._vectors.append(self._vector(entry))
            self._known.append(entry)
        return entries

    def _vector(self, entry: Entry) -> "NDArray[np.float32]":
        import numpy as np

        size = self.embedder.identity.dimensions
        if entry.get("embedder") == self._name():
            try:
                vector: NDArray[np.float32] = np.frombuffer(base64.b64decode(str(entry.get("embedding"))), dtype="<f4")
            except ValueError:
                return self._embedded(entry)
            if vector.shape == (size,):
                return vector
        return self._embedded(entry)

    def _embedded(self, entry: Entry) -> "NDArray[np.float32]":
        vector: NDArray[np.float32] = self.embedder.documents([str(entry[self.by])])[0]
        return vector

    def _name(self) -> str:
        identity = self.embedder.identity
        return f"{identity.name}/{identity.dimensions}/{identity.digest}"
