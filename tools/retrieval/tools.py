"""The tools `retrieve` and `open_source`: a model searches indexed documents and reads around what it found."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from maieutic.errors import ModelError, ToolError
from maieutic.tools.retrieval.index import Hit, Index
from maieutic.tools.retrieval.reranking import Reranker, reranked
from maieutic.tools.retrieval.shelf import Shelf
from maieutic.tools.retrieval.store import Passage
from maieutic.tools.tool import Reply, Tool, tool

MOST = 20
LONGEST = 12_000  # characters of one reply to retrieve
WINDOW = 4_000  # characters that open_source shows at once

_opened: dict[Path, Index] = {}
_opening = threading.Lock()


def open_shared(name: str | None, root: Path | None = None) -> Index:
    """The index of this name, opened once in this process; without a name the only one there is. Raises UserError."""
    shelf = Shelf(root)
    folder = shelf.find(name or shelf.only())
    with _opening:
        if folder not in _opened:
            _opened[folder] = Index(folder)
        return _opened[folder]


def retrieval_tool(name: str | None = None, *, root: Path | None = None, reranker: Reranker | None = None) -> Tool:
    """The tool `retrieve` over one index; without a name over the only one there is.

    `root` is the directory of the indexes where it isn't the user's. With a `reranker`, more passages are found, and
    the best by its judgement are given to the model.
    """

    async def retrieve(query: str, k: int = 5) -> Reply:
        """Search the user's documents and get the k (1 to 20) passages that fit best, with their source numbers.

        Say what you look for in full words. Support what you answer with the numbers of passages, such as [1].
        """
        if not query.strip():
            raise ToolError("The query is empty: say what you look for.")
        if not 1 <= k <= MOST:
            raise ToolError(f"{k} passages can't be given: ask for 1 to {MOST}.")
        index = await asyncio.to_thread(open_shared, name, root)
        try:
            hits = await asyncio.to_thread(_find, index, query, k, reranker)
        except ModelError as error:
            raise ToolError(f"The search failed: {error}") from error
        return Reply(_passages(index, hits), meta=_meta(index, hits))

    return _prepared(tool(retrieve), name, root)


def source_tool(name: str | None = None, *, root: Path | None = None) -> Tool:
    """The tool `open_source`, which reads on in what `retrieve` found in the same index."""

    async def open_source(source: int, page: int | None = None, at: int = 0) -> Reply:
        """Read a document that retrieve has found, by its source number: a page of it, from the character `at` on."""
        index = await asyncio.to_thread(open_shared, name, root)
        pieces = await asyncio.to_thread(index.read, source, page)
        if not pieces and page is not None and (whole := await asyncio.to_thread(index.read, source)):
            raise ToolError(f"Source {source} has no text on a page {page}; it has {_pages(whole)}.")
        if not pieces:
            raise ToolError(f"There is no source {source}: take a source number from a reply of retrieve.")
        return _window(index, pieces, at)

    return _prepared(tool(open_source), name, root)


def _prepared(made: Tool, name: str | None, root: Path | None) -> Tool:
    async def prepare() -> None:
        await asyncio.to_thread(open_shared, name, root)

    return replace(made, prepare=prepare, needs="an index: maieutic index")


def _find(index: Index, query: str, k: int, reranker: Reranker | None) -> list[Hit]:
    return index.search(query, k) if reranker is None else reranked(index, query, k, reranker)


def _passages(index: Index, hits: list[Hit]) -> str:
    if not hits:
        return "Nothing was found: try other words."
    parts, left = [], LONGEST
    for number, hit in enumerate(hits, 1):
        text = hit.passage.text.strip()
        if left <= 0:
            parts.append(f"[{len(hits) - number + 1} more passages were left out: ask for fewer.]")
            break
        shown = text if len(text) <= left else f"{text[:left]} …"
        parts.append(f"[{number}] {place(index, hit.passage)}\n{shown}")
        left -= len(shown)
    return "\n\n".join(parts)


def place(index: Index, passage: Passage) -> str:
    """Where a passage stands, in words: source number, file, page, characters."""
    page = f", page {passage.page}" if passage.page is not None else ""
    label = index.label(passage.path)
    return f"source {passage.source}: {label}{page}, characters {passage.start}-{passage.end}"


def _meta(index: Index, hits: list[Hit]) -> dict[str, Any]:
    places = [
        {"source": p.source, "path": p.path, "page": p.page, "start": p.start, "end": p.end, "score": hit.score}
        for hit in hits
        for p in [hit.passage]
    ]
    return {"index": index.name, "hits": places}


def _window(index: Index, pieces: list[Passage], at: int) -> Reply:
    """A part of one page, or of a document without pages."""
    first = pieces[0]
    note = ""
    if first.page is not None:
        note = f" It has {_pages(pieces)}." if len({piece.page for piece in pieces}) > 1 else ""
        pieces = [piece for piece in pieces if piece.page == first.page]
    text = ""
    for piece in pieces:  # pieces follow each other without a gap, but for white space at the beginning
        text += " " * (piece.start - len(text)) + piece.text
    if not 0 <= at < len(text):
        raise ToolError(f"This text of source {first.source} has characters 0 to {len(text)}: give one as `at`.")
    end = min(len(text), at + WINDOW)
    page = f", page {first.page}" if first.page is not None else ""
    head = f"source {first.source}: {index.label(first.path)}{page}, characters {at}-{end} of {len(text)}."
    more = f"\n[Goes on: at={end}]" if end < len(text) else ""
    meta = {"index": index.name, "source": first.source, "page": first.page, "start": at, "end": end}
    return Reply(f"{head}{note}\n{text[at:end]}{more}", meta=meta)


def _pages(pieces: list[Passage]) -> str:
    numbers = sorted({piece.page for piece in pieces if piece.page is not None})
    return f"text on pages {numbers[0]} to {numbers[-1]}" if numbers else "no pages"


retrieve, open_source = retrieval_tool(), source_tool()
