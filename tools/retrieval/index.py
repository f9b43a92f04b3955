"""The `Index` noun: documents that can be searched, by meaning and by word together, and read around what was found."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from maieutic.errors import UserError
from maieutic.tools.retrieval.embedder import Embedder
from maieutic.tools.retrieval.generation import Searchable, open_searchable
from maieutic.tools.retrieval.shelf import Shelf
from maieutic.tools.retrieval.store import Passage, Store

Way = Literal["hybrid", "dense", "lexical"]
RANK_OFFSET = 60  # k of reciprocal rank fusion (Cormack, Clarke, Buettcher 2009)
DEPTH = 50  # how many of each list are joined, at least
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found. `dense` and `lexical` are its ranks in the two lists, from 1; None where it isn't."""

    passage: Passage
    score: float
    dense: int | None
    lexical: int | None


class Index:
    """An index as it was published last; a newer generation is taken up by the next search.

    Its methods may be called from any thread, and wait for each other.
    """

    def __init__(self, folder: Path, embedder: Embedder | None = None) -> None:
        """Raises UserError where nothing was indexed yet, or where `embedder` is not the one it was made with."""
        self.folder = folder
        self._lock = threading.Lock()
        self._store = Store(folder)
        self._searchable: Searchable | None = None
        try:
            self._searchable = self._opened(embedder)
        except BaseException:
            self._store.close()
            raise

    @classmethod
    def named(cls, name: str, root: Path | None = None) -> "Index":
        """The index of this name, where `maieutic index` puts them or in the directory `root`."""
        return cls(Shelf(root).find(name))

    @property
    def name(self) -> str:
        return self.folder.name

    def close(self) -> None:
        with self._lock:
            if self._searchable is not None:
                self._searchable.close()
            self._store.close()

    def search(self, query: str, k: int = 10, way: Way = "hybrid") -> list[Hit]:
        """At most `k` passages, best first. Raises ModelError where the embedder is a server that fails."""
        with self._lock:
            for _ in range(ATTEMPTS):
                searchable = self._opened()
                ranked = _ranked(searchable, query, k, way)
                passages = self._store.passages([one.id for one in ranked])
                if len(passages) == len(ranked):
                    return [Hit(passages[one.id], one.score, one.dense, one.lexical) for one in ranked]
            raise UserError(f"The index {self.name} is changing faster than it can be searched: try again.")

    def read(self, source: int, page: int | None = None) -> list[Passage]:
        """All pieces of a document, or of one of its pages, in order; empty where there is no such thing."""
        with self._lock:
            return self._store.of_document(source, page)

    def label(self, path: str) -> str:
        """A file's name as it is shown: from the indexed folder on."""
        with self._lock:
            roots = [Path(root) for root in self._store.roots()]
        inside = [root for root in roots if Path(path).is_relative_to(root) and Path(path) != root]
        return (
            str(Path(path).relative_to(max(inside, key=lambda root: len(root.parts)).parent))
            if inside
            else Path(path).name
        )

    def _opened(self, embedder: Embedder | None = None) -> Searchable:
        for _ in range(ATTEMPTS):
            published = self._store.published()
            if published is None:
                raise UserError(f"The index {self.name} is not finished: run maieutic index --name {self.name}.")
            number, settings = published
            before = self._searchable
            if before is not None:
                if before.number == number:
                    return before
                if embedder is None and before.settings.embedder == settings.embedder:
                    embedder = before.embedder
            try:
                self._searchable = open_searchable(self.folder, number, settings, embedder)
            except FileNotFoundError:
                continue  # replaced by a newer one in this very moment
            except UserError:
                if self._store.published() == published:
                    raise
                continue  # the same, with its files half gone
            if before is not None:
                before.close()
            return self._searchable
        raise UserError(
            f"The files of the index {self.name} are gone: maieutic index --name {self.name} makes them again."
        )


def join_ranks(lists: Iterable[tuple[Sequence[int], float]]) -> list[tuple[int, float]]:
    """Reciprocal rank fusion of lists, each with its weight: ids with their scores, best first.

    Ties go to the lower id.
    """
    scores: dict[int, float] = {}
    for ranked, weight in lists:
        for rank, number in enumerate(ranked, 1):
            scores[number] = scores.get(number, 0.0) + weight / (RANK_OFFSET + rank)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


class _Ranked(NamedTuple):
    id: int
    score: float
    dense: int | None
    lexical: int | None


def _ranked(searchable: Searchable, query: str, k: int, way: Way) -> list[_Ranked]:
    depth = k if way != "hybrid" else max(DEPTH, 2 * k)
    dense = searchable.vectors.search(searchable.embedder.query(query), depth) if way != "lexical" else []
    lexical = searchable.lexical.search(query, depth) if way != "dense" else []
    by_vector = {number: rank for rank, (number, _) in enumerate(dense, 1)}
    by_word = {number: rank for rank, (number, _) in enumerate(lexical, 1)}
    if way == "hybrid":
        joined = join_ranks([(list(by_vector), searchable.embedder.weight), (list(by_word), 1.0)])
    else:
        joined = dense or lexical
    return [_Ranked(number, score, by_vector.get(number), by_word.get(number)) for number, score in joined[:k]]
