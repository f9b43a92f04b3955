"""Pages of one's own in a JSONL file: searched by word, read by their URL, no network."""

import asyncio
import json
import re
import sqlite3
import threading
from pathlib import Path

from maieutic.errors import ToolError, UserError
from maieutic.tools.web.page import Page
from maieutic.tools.web.provider import Found

_TABLE = "CREATE VIRTUAL TABLE pages USING fts5 (url UNINDEXED, title, text, tokenize = 'porter unicode61')"
_SEARCH = """
SELECT url, title, snippet(pages, 2, '', '', ' … ', 40) FROM pages WHERE pages MATCH ?
ORDER BY bm25(pages, 0, 3, 1), rowid LIMIT ?
"""
_WORD = re.compile(r"\w+")


class PageFile:
    """A JSON object a line, with `url`, `text` and, where there is one, `title`."""

    def __init__(self, path: Path) -> None:
        """Raises UserError for a file that can't be read, with the line that is wrong."""
        self.name = path.name
        self._lock = threading.Lock()
        self._pages = _read(path)
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.execute(_TABLE)
        rows = [(page.url, page.title or "", page.text) for page in self._pages.values()]
        self._db.executemany("INSERT INTO pages VALUES (?, ?, ?)", rows)

    async def search(self, query: str, k: int) -> list[Found]:
        words = " OR ".join(f'"{word}"' for word in dict.fromkeys(_WORD.findall(query.lower())))
        return await asyncio.to_thread(self._find, words, k) if words else []

    async def page(self, url: str) -> Page:
        found = self._pages.get(url.strip().partition("#")[0])
        if found is None:
            raise ToolError(f"There is no page {url} among the {len(self._pages):,} that can be read: search for one.")
        return found

    def close(self) -> None:
        self._db.close()

    def _find(self, words: str, k: int) -> list[Found]:
        with self._lock:
            rows = self._db.execute(_SEARCH, (words, k)).fetchall()
        return [Found(title or url, url, " ".join(text.split())) for url, title, text in rows]


def _read(path: Path) -> dict[str, Page]:
    pages: dict[str, Page] = {}
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    page = _page(line, f"{path}, line {number}")
                    pages[page.url] = page
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserError(f"The pages in {path} can't be read: {reason}.") from error
    if not pages:
        raise UserError(f"There are no pages in {path}: put a JSON object on each line, with url, title and text.")
    return pages


def _page(line: str, place: str) -> Page:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise UserError(f"{place}: this is not JSON.") from None
    if not isinstance(value, dict) or not all(isinstance(value.get(name), str) for name in ("url", "text")):
        raise UserError(f"{place}: a page needs url and text, both of them strings.")
    title = value.get("title")
    return Page(value["url"].partition("#")[0], title if isinstance(title, str) and title else None, value["text"])
