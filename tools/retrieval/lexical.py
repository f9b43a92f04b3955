"""Search by words: BM25 in tantivy, or in SQLite's FTS5 where tantivy is not installed."""

import os
import re
import shutil
import sqlite3
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

from maieutic.errors import MissingExtra

Engine = Literal["tantivy", "fts5"]
MOST_WORDS = 64  # of a query
_WORD = re.compile(r"\w+")
_LONGEST_WORD = 40
_HEAP = 64 << 20


class Lexical(Protocol):
    """Texts by id, found by their words."""

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        """At most `k` ids with their BM25 score, best first; empty where no word of the query occurs."""
        ...

    def close(self) -> None: ...


def best_engine() -> Engine:
    return "tantivy" if find_spec("tantivy") else "fts5"


def open_lexical(folder: Path, engine: Engine) -> Lexical:
    """Raises MissingExtra, and ValueError or OSError or sqlite3.Error where the files are damaged or absent."""
    return Tantivy(folder / "tantivy") if engine == "tantivy" else Fts5(folder / "fts5.sqlite")


def build_lexical(
    folder: Path, engine: Engine, before: Path | None, dead: Iterable[int], born: Iterable[tuple[int, str]]
) -> None:
    """Make the index in `folder`: what is in the folder `before`, without `dead`, with `born`. All of it is on disk."""
    if engine == "tantivy":
        _build_tantivy(folder / "tantivy", before / "tantivy" if before else None, dead, born)
    else:
        _build_fts5(folder / "fts5.sqlite", before / "fts5.sqlite" if before else None, dead, born)


class Tantivy:
    """A tantivy index, read only. A query is cut into words as the texts were; it has no syntax."""

    def __init__(self, folder: Path) -> None:
        tantivy = _load_tantivy()
        index = tantivy.Index.open(str(folder))
        self._schema, self._searcher = index.schema, index.searcher()
        self._analyzer = _analyzer(tantivy)

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        tantivy = _load_tantivy()
        words = list(dict.fromkeys(self._analyzer.analyze(query)))[:MOST_WORDS]
        terms = [tantivy.Query.term_query(self._schema, "text", word, index_option="freq") for word in words]
        if not terms:
            return []
        anyone = tantivy.Query.boolean_query([(tantivy.Occur.Should, term) for term in terms])
        hits = self._searcher.search(anyone, k, count=False).hits
        return [(int(self._searcher.doc(address)["id"][0]), float(score)) for score, address in hits]

    def close(self) -> None:
        """Nothing to do: files are unmapped with the object."""


def _load_tantivy() -> Any:
    try:
        import tantivy
    except ImportError as error:
        raise MissingExtra("This index was made with tantivy: reading it", "rag") from error
    return tantivy


def _analyzer(tantivy: Any) -> Any:
    """How tantivy's own `en_stem` cuts a text into words."""
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for one in (
        tantivy.Filter.remove_long(_LONGEST_WORD),
        tantivy.Filter.lowercase(),
        tantivy.Filter.stemmer("english"),
    ):
        builder = builder.filter(one)
    return builder.build()


def _build_tantivy(folder: Path, before: Path | None, dead: Iterable[int], born: Iterable[tuple[int, str]]) -> None:
    tantivy = _load_tantivy()
    if before is None:
        folder.mkdir()
    else:  # segments never change: links to them are a copy of the index
        shutil.copytree(before, folder, copy_function=_link, ignore=shutil.ignore_patterns("*.lock"))
    schema = tantivy.SchemaBuilder()
    schema.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    schema.add_text_field("text", tokenizer_name="en_stem", index_option="freq")
    index = tantivy.Index(schema.build(), path=str(folder), reuse=True)
    writer = index.writer(_HEAP, 1)
    for number in dead:
        writer.delete_documents_by_term("id", str(number))
    for number, text in born:
        writer.add_document(tantivy.Document(id=str(number), text=text))
    writer.commit()
    writer.wait_merging_threads()


def _link(source: str, target: str) -> None:
    """Lists of segments are replaced, never changed in place; but where there are no links, a copy will do."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


class Fts5:
    """An FTS5 table in a database of its own, read only."""

    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        self._database.execute("SELECT count(*) FROM texts_config")

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        words = list(dict.fromkeys(_WORD.findall(query.lower())))[:MOST_WORDS]
        if not words:
            return []
        wanted = " OR ".join(f'"{word}"' for word in words)
        rows = self._database.execute(
            "SELECT rowid, -rank FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT ?", [wanted, k]
        )
        return [(int(number), float(score)) for number, score in rows]

    def close(self) -> None:
        self._database.close()


def _build_fts5(file: Path, before: Path | None, dead: Iterable[int], born: Iterable[tuple[int, str]]) -> None:
    if before is not None:
        shutil.copy2(before, file)
    database = sqlite3.connect(file)
    try:
        with database:
            database.execute("CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5(text, tokenize = 'porter unicode61')")
            database.executemany("DELETE FROM texts WHERE rowid = ?", ([number] for number in dead))
            database.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", born)
    finally:
        database.close()
