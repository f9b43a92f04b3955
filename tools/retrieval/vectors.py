"""Search by vector with FAISS: an exact index that forgets at once, and HNSW, whose deletions are honest ones.

HNSW can't remove: what is deleted stays in its graph as a tombstone, is kept out of every answer, and is gone when the
index is built anew, which happens as soon as tombstones are more than a fifth of it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from maieutic.errors import MissingExtra
from maieutic.tools.retrieval.embedder import threads

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ids = NDArray[np.int64]

Kind = Literal["exact", "hnsw"]
FILE, DEAD = "vectors.faiss", "tombstones.npy"
LINKS, BUILD_EFFORT, SEARCH_EFFORT = 32, 80, 64
MOST_DEAD = 0.2


class Vectors:
    """Vectors of length 1 by id, nearest first. Ids are the caller's: they must never be given twice."""

    def __init__(self, kind: Kind, index: Any, dead: "Ids | None" = None) -> None:
        import numpy as np

        self.kind = kind
        self._index = index
        self._dead = np.empty(0, dtype=np.int64) if dead is None else dead

    @classmethod
    def empty(cls, kind: Kind, dimensions: int) -> "Vectors":
        """Vectors are kept as 16-bit floats, as they come out of the store: nothing is lost by it twice."""
        faiss = load_faiss()
        metric, half = faiss.METRIC_INNER_PRODUCT, faiss.ScalarQuantizer.QT_fp16
        if kind == "exact":
            return cls(kind, faiss.IndexIDMap2(faiss.IndexScalarQuantizer(dimensions, half, metric)))
        graph = faiss.IndexHNSWSQ(dimensions, half, LINKS, metric)
        graph.hnsw.efConstruction = BUILD_EFFORT
        graph.is_trained = True  # 16-bit floats need no training
        return cls(kind, faiss.IndexIDMap2(graph))

    @classmethod
    def load(cls, folder: Path, kind: Kind) -> "Vectors":
        """Raises RuntimeError or OSError where the files are damaged or absent."""
        import numpy as np

        index = load_faiss().read_index(str(folder / FILE))
        return cls(kind, index, np.load(folder / DEAD))

    def save(self, folder: Path) -> None:
        import numpy as np

        load_faiss().write_index(self._index, str(folder / FILE))
        np.save(folder / DEAD, self._dead)

    def __len__(self) -> int:
        return int(self._index.ntotal) - len(self._dead)

    @property
    def worn(self) -> bool:
        """Whether so much of it is tombstones that it should be built anew."""
        return len(self._dead) > MOST_DEAD * max(1, int(self._index.ntotal))

    def add(self, ids: "Ids", rows: "NDArray[np.float32]") -> None:
        self._index.add_with_ids(rows, ids)

    def remove(self, ids: "Ids") -> None:
        import numpy as np

        if self.kind == "exact":
            self._index.remove_ids(ids)
        else:
            self._dead = np.union1d(self._dead, ids)

    def search(self, row: "NDArray[np.float32]", k: int) -> list[tuple[int, float]]:
        """At most `k` ids with their cosine, nearest first."""
        if not len(self) or not row.any():
            return []
        faiss = load_faiss()
        wanted = min(k, len(self))
        parameters = None
        if self.kind == "hnsw":
            alive = faiss.IDSelectorNot(faiss.IDSelectorBatch(self._dead)) if len(self._dead) else None
            parameters = faiss.SearchParametersHNSW(sel=alive, efSearch=max(SEARCH_EFFORT, 2 * wanted))
        scores, ids = self._index.search(row.reshape(1, -1), wanted, params=parameters)
        return [(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]


def as_ids(numbers: Iterable[int]) -> "Ids":
    import numpy as np

    return np.fromiter(numbers, dtype=np.int64)


def load_faiss() -> Any:
    """The library, with its threads set. Raises MissingExtra."""
    try:
        import faiss
    except ImportError as error:
        raise MissingExtra("Searching documents", "rag") from error
    if faiss.omp_get_max_threads() != threads():
        faiss.omp_set_num_threads(threads())
    return faiss
