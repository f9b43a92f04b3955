"""Bringing an index up to date with the files it is made from: what is new, what has changed, what is gone."""

import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from maieutic.errors import MaieuticError, MissingExtra, UserError
from maieutic.tools.retrieval.document import Unreadable, split
from maieutic.tools.retrieval.embedder import Embedder, find_embedder
from maieutic.tools.retrieval.files import Found, Listing, list_files
from maieutic.tools.retrieval.generation import build, forget_others, open_searchable, refuse_other
from maieutic.tools.retrieval.lexical import best_engine
from maieutic.tools.retrieval.loading import load
from maieutic.tools.retrieval.shelf import claimed
from maieutic.tools.retrieval.store import IndexSettings, Known, Prepared, Store
from maieutic.tools.retrieval.vectors import Kind

CHARACTERS = 1000
LARGEST = 64 << 20
PARTS = ("faiss", "semantic_text_splitter", "pypdf", "trafilatura")
GROUP = 256  # pieces that are embedded and stored at once: what a killed run may have to do again


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to index and how. None keeps what an index has, or takes the default of a new one.

    `paths` are indexed in addition to earlier ones, `forget` not any more. `embedder` is a name; `characters` is the
    most that a piece of text may have, `largest` the bytes of a file. `rebuild` reads everything again, and is needed
    to change the embedder, the kind of vectors or the size of the pieces.
    """

    paths: tuple[Path, ...] = ()
    forget: tuple[Path, ...] = ()
    embedder: str | None = None
    vectors: Kind | None = None
    characters: int | None = None
    largest: int = LARGEST
    rebuild: bool = False


@dataclass(slots=True)
class Report:
    """What a run did. `left_out` has a reason for every file that is not as it should be in the index, `notes` for
    every one that is, but with a caveat; `documents` and `pieces` are what the index holds now."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    documents: int = 0
    pieces: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    embedder: str = ""


Progress = Callable[[int, int], None]  # files looked at, files in all


def update_index(
    folder: Path, wanted: Wanted = Wanted(), progress: Progress | None = None, embedder: Embedder | None = None
) -> Report:
    """Bring the index in `folder` up to date, or make it. `embedder` is used in place of the one that is named.

    Raises UserError: for a path that is not there, another embedder, an index that is being written, a full disk. The
    index that was there stays as it was until all is done, and the same call again goes on where a stopped one was.
    """
    if not all(find_spec(module) for module in PARTS):
        raise MissingExtra("Indexing documents", "rag")
    if embedder is None and wanted.embedder is not None:
        embedder = find_embedder(wanted.embedder)
    missing = [path for path in wanted.paths if not path.exists()]
    if missing:
        raise UserError(f"There is no file or folder {missing[0]}.")
    with claimed(folder):
        store = Store(folder, write=True)
        try:
            return _Run(folder, store, wanted, progress or (lambda done, total: None), embedder).run()
        except (OSError, sqlite3.OperationalError) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise UserError(
                f"{folder} can't be written ({said}): nothing is lost; make room and run the same command again."
            ) from error
        finally:
            store.close()


class _Run:
    """One run over one index."""

    def __init__(
        self, folder: Path, store: Store, wanted: Wanted, progress: Progress, embedder: Embedder | None
    ) -> None:
        self._folder, self._store, self._wanted, self._progress = folder, store, wanted, progress
        self._published = store.published()
        self._embedder = embedder or find_embedder(self._embedder_before())
        self._settings = self._settle()
        self._same = self._published is not None and self._published[1] == self._settings
        self._report = Report(embedder=self._settings.embedder.name)

    def _embedder_before(self) -> str:
        return self._published[1].embedder.name if self._published else "auto"

    def _settle(self) -> IndexSettings:
        """The settings to index with. UserError where they differ from those there without being asked to rebuild."""
        before, wanted = self._published[1] if self._published else None, self._wanted
        identity = self._embedder.identity
        settings = IndexSettings(
            embedder=identity,
            vectors=wanted.vectors or (before.vectors if before else "exact"),
            lexical=before.lexical if before and not wanted.rebuild else best_engine(),
            characters=wanted.characters or (before.characters if before else CHARACTERS),
        )
        if before is None or wanted.rebuild or settings == before:
            return settings
        refuse_other(self._folder.name, before.embedder, identity)
        raise UserError(
            f"The index {self._folder.name} has {before.vectors} vectors and pieces of {before.characters} characters: "
            "give --rebuild to change that."
        )

    def run(self) -> Report:
        roots = self._roots()
        before = self._published[0] if self._published else None
        generation = self._store.begin(self._settings)
        self._store.set_roots(map(str, roots))
        anew = self._wanted.rebuild
        listing = list_files(roots)
        self._report.left_out |= listing.problems
        known = self._store.known(generation)
        fresh = self._store.born_in(generation)
        kept = self._take_in(listing, known, fresh, generation, anew)
        for root in roots:
            if not root.exists() and root not in listing.closed:
                self._report.left_out[str(root)] = "vanished while it was read; what was indexed from it is kept"
                listing.closed.append(root)
        gone = [path for path in known if path not in kept and not (self._same and _hidden(path, listing, roots))]
        self._store.bury([known[path].id for path in gone], generation)
        self._report.removed = len(gone)
        self._publish(generation, before)
        self._report.documents, self._report.pieces = self._store.counts(generation)
        return self._report

    def _roots(self) -> list[Path]:
        before = [Path(path) for path in self._store.roots()]
        forget = {path.absolute() for path in self._wanted.forget}
        unknown = forget - set(before)
        if unknown:
            shown = ", ".join(map(str, before)) or "nothing"
            raise UserError(f"{min(unknown)} is not indexed as a path of its own; indexed are: {shown}.")
        roots = {*before, *(path.absolute() for path in self._wanted.paths)} - forget
        if not roots and not forget:
            raise UserError("Nothing to index: give a file or a folder.")
        return sorted(roots)

    def _take_in(
        self, listing: Listing, known: dict[str, Known], fresh: set[int], generation: int, anew: bool
    ) -> set[str]:
        """Store what is new or has changed. Returns the paths whose document stays or was replaced."""
        kept = set[str]()
        waiting: list[Prepared] = []
        total = len(listing.files)
        for done, found in enumerate(listing.files):
            self._progress(done, total)
            path = str(found.path)
            earlier = known.get(path)
            stale = anew and earlier is not None and earlier.id not in fresh
            if earlier is not None and not stale and (earlier.size, earlier.changed) == (found.size, found.changed):
                if earlier.id in fresh:  # by a run that was stopped
                    self._report.added += 1
                else:
                    self._report.unchanged += 1
                kept.add(path)
                continue
            try:
                read = self._read(found, earlier, stale)
            except Unreadable as problem:
                self._left_out(path, str(problem), kept if earlier is not None and (self._same or not stale) else None)
                continue
            except FileNotFoundError:
                continue  # gone since it was listed: as if it had never been there
            kept.add(path)
            if read is not None:
                waiting.append(read)
            if sum(len(one.chunks) for one in waiting) >= GROUP:
                self._flush(waiting, generation)
        self._flush(waiting, generation)
        self._progress(total, total)
        return kept

    def _left_out(self, path: str, reason: str, kept: set[str] | None) -> None:
        """A file that can't be read any more stays in the index as it was; `kept` is None where it isn't there."""
        if kept is not None:
            kept.add(path)
            reason += "; what was indexed of it before is kept"
        self._report.left_out[path] = reason

    def _read(self, found: Found, earlier: Known | None, stale: bool) -> Prepared | None:
        """The file ready to be embedded; None where it holds what it held. Raises Unreadable, FileNotFoundError."""
        path = str(found.path)
        if found.size > self._wanted.largest:
            size, limit = found.size / 2**20, self._wanted.largest / 2**20
            raise Unreadable(f"has {size:,.0f} MiB, more than the {limit:,.0f} MiB allowed (--max-size)")
        try:
            with found.path.open("rb") as file:
                data = file.read(self._wanted.largest + 1)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Unreadable(f"can't be read ({error.strerror})") from error
        digest = hashlib.blake2b(data, digest_size=16).digest()
        if earlier is not None and not stale and earlier.digest == digest:
            self._store.touch(earlier.id, found.size, found.changed)
            self._report.unchanged += 1
            return None
        document = load(found.path, data, self._wanted.largest)
        chunks = split(document, self._settings.characters)
        if document.note:
            self._report.notes[path] = document.note
        if earlier is None:
            self._report.added += 1
        else:
            self._report.changed += 1
        before = earlier.id if earlier else None
        return Prepared(path, found.size, found.changed, digest, chunks, before)

    def _flush(self, waiting: list[Prepared], generation: int) -> None:
        texts = [chunk.text for one in waiting for chunk in one.chunks]
        if texts:
            self._store.add(waiting, self._embedder.documents(texts), generation)
        waiting.clear()

    def _publish(self, generation: int, before: int | None) -> None:
        base = before if self._same and not self._wanted.rebuild and self._whole() else None
        if base is not None and not self._changed(generation):
            self._store.abandon(generation)
            return
        try:
            build(self._folder, self._store, generation, self._settings, base)
        except (MaieuticError, OSError, sqlite3.OperationalError):
            raise
        except (RuntimeError, ValueError) as error:  # how FAISS and tantivy say that a file can't be written
            raise OSError(None, str(error).strip().splitlines()[-1]) from error
        self._store.publish(generation)
        forget_others(self._folder, generation)

    def _changed(self, generation: int) -> bool:
        return bool(self._store.chunk_ids(generation, "born") or self._store.chunk_ids(generation, "died"))

    def _whole(self) -> bool:
        """Whether the files of the published generation can be read."""
        assert self._published is not None
        try:
            open_searchable(self._folder, *self._published, self._embedder).close()
        except (UserError, OSError):
            return False
        return True


def _hidden(path: str, listing: Listing, roots: list[Path]) -> bool:
    """Whether a file that was not found may still be there: in a folder that can't be looked into now."""
    inside = any(Path(path).is_relative_to(root) for root in roots)
    return inside and any(Path(path).is_relative_to(folder) for folder in listing.closed)
