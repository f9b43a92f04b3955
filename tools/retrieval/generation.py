"""What a generation is searched with, made from the store: vectors, words, and the counts that weigh a query's words.

Everything here can be made again from the store. A generation is written beside the others, flushed, and renamed.
"""

import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from maieutic.errors import MaieuticError, UserError
from maieutic.tools.retrieval.embedder import Embedder, Identity, find_embedder
from maieutic.tools.retrieval.hashed import Hashed, count_words
from maieutic.tools.retrieval.lexical import Engine, Lexical, build_lexical, open_lexical
from maieutic.tools.retrieval.store import IndexSettings, Store
from maieutic.tools.retrieval.vectors import Kind, Vectors, as_ids

COUNTS = "words.npy"


def folder_of(index: Path, number: int) -> Path:
    return index / f"generation-{number:06}"


@dataclass(frozen=True, slots=True)
class Searchable:
    """A published generation, opened."""

    number: int
    settings: IndexSettings
    vectors: Vectors
    lexical: Lexical
    embedder: Embedder

    def close(self) -> None:
        self.lexical.close()


def build(index: Path, store: Store, number: int, settings: IndexSettings, before: int | None) -> None:
    """Write generation `number`; from the generation `before` where its files are there and of the same settings."""
    target = folder_of(index, number)
    aside = target.with_suffix(".part")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    aside.mkdir()
    try:
        if before is None or not _grow(aside, folder_of(index, before), store, number, settings):
            shutil.rmtree(aside)
            aside.mkdir()
            _make(aside, store, number, settings)
        flush(aside)
        os.rename(aside, target)
        flush(index)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def forget_others(index: Path, number: int) -> None:
    """Remove the files of all generations but `number`; a program that still searches one keeps it until it is done."""
    for folder in index.glob("generation-*"):
        if folder != folder_of(index, number):
            shutil.rmtree(folder, ignore_errors=True)


def open_searchable(index: Path, number: int, settings: IndexSettings, embedder: Embedder | None) -> Searchable:
    """Raises FileNotFoundError where the generation was replaced by a newer one, and UserError."""
    folder = folder_of(index, number)
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    try:
        vectors = Vectors.load(folder, cast(Kind, settings.vectors))
        lexical = open_lexical(folder, cast(Engine, settings.lexical))
        counts = _load_counts(folder)
    except MaieuticError:
        raise
    except Exception as error:  # each library has its own way to say that a file is damaged
        if not folder.is_dir():
            raise FileNotFoundError(folder) from error
        raise UserError(
            f"The files in {folder} can't be read: run maieutic index --name {index.name}, which makes them again."
        ) from error
    if embedder is None:
        embedder = find_embedder(settings.embedder.name)
    refuse_other(index.name, settings.embedder, embedder.identity)
    if isinstance(embedder, Hashed):
        embedder = Hashed(counts, len(vectors))
    return Searchable(number, settings, vectors, lexical, embedder)


def refuse_other(name: str, made_with: Identity, now: Identity) -> None:
    """UserError where vectors of these two embedders can't be compared."""
    if made_with == now:
        return
    what = f"the embedder {made_with.name} ({made_with.dimensions} dimensions"
    what += f", weights {made_with.digest[:12]})" if made_with.digest else ")"
    other = f"{now.name} ({now.dimensions} dimensions" + (f", weights {now.digest[:12]})" if now.digest else ")")
    raise UserError(
        f"The index {name} was made with {what}, and {other} is another one: "
        f"make it anew with maieutic index --name {name} --embedder {now.name} --rebuild."
    )


def _make(folder: Path, store: Store, number: int, settings: IndexSettings) -> None:
    ids = store.chunk_ids(number)
    vectors = Vectors.empty(cast(Kind, settings.vectors), settings.embedder.dimensions)
    for some, rows in store.vectors(ids, settings.embedder.dimensions):
        vectors.add(as_ids(some), rows)
    vectors.save(folder)
    build_lexical(folder, cast(Engine, settings.lexical), None, (), store.texts(ids))
    if settings.embedder.name == "hashed":
        _save_counts(folder, count_words(text for _, text in store.texts(ids)))


def _grow(folder: Path, before: Path, store: Store, number: int, settings: IndexSettings) -> bool:
    """Make the generation from the one before; False where that can't be done or isn't worth it."""
    import numpy as np

    born, died = store.chunk_ids(number, "born"), store.chunk_ids(number, "died")
    try:
        vectors = Vectors.load(before, cast(Kind, settings.vectors))
        vectors.remove(as_ids(died))
        if vectors.worn:
            return False
        for some, rows in store.vectors(born, settings.embedder.dimensions):
            vectors.add(as_ids(some), rows)
        if len(vectors) != len(store.chunk_ids(number)):
            return False
        vectors.save(folder)
        build_lexical(folder, cast(Engine, settings.lexical), before, died, store.texts(born))
        if settings.embedder.name == "hashed":
            counts = np.load(before / COUNTS) + count_words(text for _, text in store.texts(born))
            _save_counts(folder, counts - count_words(text for _, text in store.texts(died)))
    except (RuntimeError, ValueError, FileNotFoundError, sqlite3.DatabaseError):
        return False  # the files before are damaged: all of it is in the store
    return True


def _save_counts(folder: Path, counts: Any) -> None:
    import numpy as np

    np.save(folder / COUNTS, counts)


def _load_counts(folder: Path) -> Any:
    import numpy as np

    return np.load(folder / COUNTS) if (folder / COUNTS).exists() else None


def flush(folder: Path) -> None:
    """Put a folder and all files under it on disk."""
    for path in [*folder.rglob("*"), folder] if folder.name.endswith(".part") else [folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
