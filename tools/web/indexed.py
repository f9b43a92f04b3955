"""An index of one's own documents as a web to search: its documents have addresses, and are read like pages."""

import asyncio
import re
from pathlib import Path

from maieutic.errors import ModelError, ToolError
from maieutic.tools.retrieval.index import Index
from maieutic.tools.retrieval.store import Passage
from maieutic.tools.retrieval.tools import open_shared
from maieutic.tools.web.page import Page
from maieutic.tools.web.provider import Found

_SHOWN = 400


class IndexedPages:
    """The index of a name, where `maieutic index` puts them or in the directory `root`. A document's URL is
    `index://NAME/NUMBER`."""

    def __init__(self, name: str, root: Path | None = None) -> None:
        """Raises UserError where there is no such index."""
        self.name = f"index:{name}"
        self._index: Index = open_shared(name, root)

    async def search(self, query: str, k: int) -> list[Found]:
        try:
            hits = await asyncio.to_thread(self._index.search, query, 4 * k)
        except ModelError as error:
            raise ToolError(f"The search failed: {error}") from error
        best: dict[int, Passage] = {}
        for hit in hits:
            best.setdefault(hit.passage.source, hit.passage)
        return [self._found(passage) for passage in list(best.values())[:k]]

    async def page(self, url: str) -> Page:
        match = re.fullmatch(rf"index://{re.escape(self._index.name)}/(\d{{1,18}})", url.strip())
        pieces = await asyncio.to_thread(self._index.read, int(match[1])) if match else []
        if not pieces:
            raise ToolError(f"There is no document {url} in the index {self._index.name}: search for one.")
        return Page(self._url(pieces[0]), self._index.label(pieces[0].path), _joined(pieces))

    def _found(self, passage: Passage) -> Found:
        text = " ".join(passage.text.split())
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        return Found(self._index.label(passage.path), self._url(passage), shown)

    def _url(self, passage: Passage) -> str:
        return f"index://{self._index.name}/{passage.source}"


def _joined(pieces: list[Passage]) -> str:
    """The text of a document, page after page; pieces of a page follow each other without a gap."""
    texts: dict[int | None, str] = {}
    for piece in pieces:
        before = texts.get(piece.page, "")
        texts[piece.page] = before + " " * (piece.start - len(before)) + piece.text
    return "\n\n".join(text if page is None else f"[Page {page}]\n{text}" for page, text in texts.items())
