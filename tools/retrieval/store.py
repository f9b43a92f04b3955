"""The store of an index: documents, pieces and vectors in SQLite, which everything else is made from.

What is indexed is numbered by generations. A document is `born` into one and has `died` in another; a search sees those
of the generation that was published last. A run writes the next generation beside it and publishes at its end, so that
one that is killed leaves the published generation as it was, and the next run goes on where it stopped.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maieutic.errors import UserError
from maieutic.tools.retrieval.document import Chunk
from maieutic.tools.retrieval.embedder import Identity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE = "store.sqlite"
MAKE = 1
_TABLES = f"""
CREATE TABLE IF NOT EXISTS generations (number INTEGER PRIMARY KEY, settings TEXT NOT NULL, published REAL);
CREATE TABLE IF NOT EXISTS roots (path TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL, size INTEGER, changed INTEGER, digest BLOB,
    born INTEGER NOT NULL, died INTEGER);
CREATE INDEX IF NOT EXISTS documents_by_path ON documents (path);
CREATE TABLE IF NOT EXISTS chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL, page INTEGER, start INTEGER NOT NULL,
    "end" INTEGER NOT NULL, text TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS chunks_of_document ON chunks (document);
CREATE TABLE IF NOT EXISTS vectors (id INTEGER PRIMARY KEY, vector BLOB NOT NULL);
PRAGMA user_version = {MAKE};
"""
_LIVING = "d.born <= :g AND (d.died IS NULL OR d.died > :g)"


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """What all of one generation was made with. `characters` is the most that a piece of text has."""

    embedder: Identity
    vectors: str
    lexical: str
    characters: int

    @classmethod
    def from_json(cls, text: str) -> "IndexSettings":
        fields = json.loads(text)
        return cls(**{**fields, "embedder": Identity(**fields["embedder"])})


@dataclass(frozen=True, slots=True)
class Known:
    """A file as it was when it was indexed."""

    id: int
    size: int
    changed: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file ready to be stored, in place of the document `replaces`."""

    path: str
    size: int
    changed: int
    digest: bytes
    chunks: Sequence[Chunk]
    replaces: int | None


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document as it is found: `source` numbers the document, `start` and `end` count characters of the
    page, or of the whole text where there are no pages."""

    id: int
    source: int
    path: str
    page: int | None
    start: int
    end: int
    text: str


class Store:
    """One index's database. A writer is alone (the shelf's lock sees to it); readers are as many as want to."""

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        """Raises UserError where it is damaged, or written by a newer Maieutic."""
        self.file = folder / FILE
        try:
            self._database = _connect(self.file, write)
        except sqlite3.OperationalError as error:
            raise UserError(f"{self.file} can't be opened: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self.file} is damaged ({error}): remove the index and make it again.") from error

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction: all of it or nothing."""
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            yield

    # generations

    def published(self) -> tuple[int, IndexSettings] | None:
        """The number and the settings of the generation that is searched; None where nothing was published yet."""
        row = self._one("SELECT number, settings FROM generations WHERE published IS NOT NULL ORDER BY number DESC")
        return (row[0], IndexSettings.from_json(row[1])) if row else None

    def begin(self, settings: IndexSettings) -> int:
        """The number of the generation to write: the one that a stopped run left, if it was of the same settings."""
        before = self.published()
        number = before[0] + 1 if before else 1
        with self.writing():
            left = self._one("SELECT settings FROM generations WHERE number = ?", number)
            if left and IndexSettings.from_json(left[0]) != settings:
                self._database.execute("UPDATE documents SET died = NULL WHERE died = ?", [number])
                self._drop("born = ?", number)
            said = json.dumps(asdict(settings))
            self._database.execute("INSERT OR REPLACE INTO generations VALUES (?, ?, NULL)", [number, said])
        return number

    def publish(self, number: int) -> None:
        """From now on this generation is searched, and what died before is gone."""
        with self.writing():
            self._database.execute("UPDATE generations SET published = ? WHERE number = ?", [time.time(), number])
            self._database.execute("DELETE FROM generations WHERE number < ?", [number])
            self._drop("died <= ?", number)

    def abandon(self, number: int) -> None:
        """Nothing was to be written: the generation before stays."""
        with self.writing():
            self._database.execute("DELETE FROM generations WHERE number = ?", [number])

    def _drop(self, which: str, number: int) -> None:
        chunks = f"SELECT id FROM chunks WHERE document IN (SELECT id FROM documents WHERE {which})"
        for statement in (
            f"DELETE FROM vectors WHERE id IN ({chunks})",
            f"DELETE FROM chunks WHERE id IN ({chunks})",
            f"DELETE FROM documents WHERE {which}",
        ):
            self._database.execute(statement, [number])

    # what is indexed

    def roots(self) -> list[str]:
        return [path for (path,) in self._database.execute("SELECT path FROM roots ORDER BY path")]

    def set_roots(self, paths: Iterable[str]) -> None:
        with self.writing():
            self._database.execute("DELETE FROM roots")
            self._database.executemany("INSERT INTO roots VALUES (?)", ([path] for path in sorted(set(paths))))

    def known(self, generation: int) -> dict[str, Known]:
        """The living documents of a generation by path, also of one that is being written."""
        query = f"SELECT path, id, size, changed, digest FROM documents d WHERE {_LIVING}"
        return {path: Known(*rest) for path, *rest in self._database.execute(query, {"g": generation})}

    def born_in(self, generation: int) -> set[int]:
        """The documents that were born into a generation."""
        return {i for (i,) in self._database.execute("SELECT id FROM documents WHERE born = ?", [generation])}

    def add(self, documents: Iterable[Prepared], vectors: "NDArray[np.float32]", generation: int) -> None:
        """Store documents, all of them or none; a row of `vectors` for each of their chunks, in order."""
        import numpy as np

        rows = iter(vectors.astype(np.float16))
        with self.writing():
            for new in documents:
                if new.replaces is not None:
                    self._die([new.replaces], generation)
                row = [new.path, new.size, new.changed, new.digest, generation]
                cursor = self._database.execute(
                    "INSERT INTO documents (path, size, changed, digest, born) VALUES (?, ?, ?, ?, ?)", row
                )
                for chunk in new.chunks:
                    fields = [cursor.lastrowid, chunk.page, chunk.start, chunk.end, chunk.text]
                    number = self._database.execute(
                        'INSERT INTO chunks (document, page, start, "end", text) VALUES (?, ?, ?, ?, ?)', fields
                    ).lastrowid
                    self._database.execute("INSERT INTO vectors VALUES (?, ?)", [number, next(rows).tobytes()])

    def touch(self, document: int, size: int, changed: int) -> None:
        """A file looks newer and holds the same."""
        with self.writing():
            query = "UPDATE documents SET size = ?, changed = ? WHERE id = ?"
            self._database.execute(query, [size, changed, document])

    def bury(self, documents: Sequence[int], generation: int) -> None:
        """These documents are not part of the generation any more."""
        with self.writing():
            self._die(documents, generation)

    def _die(self, documents: Sequence[int], generation: int) -> None:
        """One that was born into the same generation was never seen, and leaves nothing behind."""
        for document in documents:
            (born,) = self._one("SELECT born FROM documents WHERE id = ?", document) or (None,)
            if born == generation:
                self._drop("id = ?", document)
            else:
                self._database.execute("UPDATE documents SET died = ? WHERE id = ?", [generation, document])

    # what is found

    def chunk_ids(self, generation: int, change: str | None = None) -> list[int]:
        """Pieces that live in a generation; with `change` "born" or "died", those for which that happened in it."""
        which = _LIVING if change is None else f"d.{change} = :g"
        query = f"SELECT c.id FROM chunks c JOIN documents d ON d.id = c.document WHERE {which} ORDER BY c.id"
        return [number for (number,) in self._database.execute(query, {"g": generation})]

    def texts(self, ids: Sequence[int]) -> Iterator[tuple[int, str]]:
        for some in _batches(ids):
            query = f"SELECT id, text FROM chunks WHERE id IN ({','.join('?' * len(some))}) ORDER BY id"
            yield from self._database.execute(query, some)

    def vectors(self, ids: Sequence[int], dimensions: int) -> Iterator[tuple[list[int], "NDArray[np.float32]"]]:
        """Batches of ids and their vectors, as rows."""
        import numpy as np

        for some in _batches(ids):
            query = f"SELECT id, vector FROM vectors WHERE id IN ({','.join('?' * len(some))}) ORDER BY id"
            rows = self._database.execute(query, some).fetchall()
            flat = np.frombuffer(b"".join(vector for _, vector in rows), dtype=np.float16)
            yield [number for number, _ in rows], flat.reshape(len(rows), dimensions).astype(np.float32)

    def passages(self, ids: Sequence[int]) -> dict[int, Passage]:
        """The pieces of these ids that are there."""
        query = (
            'SELECT c.id, d.id, d.path, c.page, c.start, c."end", c.text FROM chunks c '
            f"JOIN documents d ON d.id = c.document WHERE c.id IN ({','.join('?' * len(ids))})"
        )
        return {row[0]: Passage(*row) for row in self._database.execute(query, list(ids))}

    def of_document(self, source: int, page: int | None = None) -> list[Passage]:
        """All pieces of a document, or of one of its pages, in order; empty where there is no such thing."""
        query = (
            'SELECT c.id, d.id, d.path, c.page, c.start, c."end", c.text FROM chunks c '
            "JOIN documents d ON d.id = c.document WHERE d.id = ? AND (? IS NULL OR c.page = ?) ORDER BY c.id"
        )
        return [Passage(*row) for row in self._database.execute(query, [source, page, page])]

    def counts(self, generation: int) -> tuple[int, int]:
        """Documents and pieces that live in a generation."""
        query = f"SELECT count(*) FROM documents d WHERE {_LIVING}"
        (documents,) = self._database.execute(query, {"g": generation}).fetchone()
        return documents, len(self.chunk_ids(generation))

    def _one(self, query: str, *values: Any) -> Any:
        return self._database.execute(query, values).fetchone()


def _batches(ids: Sequence[int], size: int = 500) -> Iterator[list[int]]:
    for at in range(0, len(ids), size):
        yield list(ids[at : at + size])


def _connect(file: Path, write: bool) -> sqlite3.Connection:
    if write:
        file.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(file, timeout=30, isolation_level=None, check_same_thread=False)
    else:
        database = sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=30, check_same_thread=False)
    try:
        (make,) = database.execute("PRAGMA user_version").fetchone()
        if make > MAKE:
            raise UserError(f"{file} was written by a newer Maieutic: upgrade this one.")
        if write:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.executescript(_TABLES)
        else:
            database.execute("PRAGMA query_only = ON")
    except BaseException:
        database.close()
        raise
    return database
