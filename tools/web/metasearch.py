"""Metasearch without a key, through the package ddgs, which reads the pages of search engines and is often refused."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from maieutic.errors import MissingExtra, ToolError
from maieutic.tools.threads import in_thread
from maieutic.tools.web.exchange import Answered, Asked
from maieutic.tools.web.provider import Found
from maieutic.tools.web.record import Record
from maieutic.tools.web.requests import plain

Rows = Callable[[str, int], list[dict[str, Any]]]


class Metasearch:
    """`rows` makes the search and gives what ddgs gives: objects with title, href and body."""

    name = "ddgs"

    def __init__(self, *, record: Record | None = None, rows: Rows | None = None) -> None:
        """Raises MissingExtra."""
        if rows is None and find_spec("ddgs") is None:
            raise MissingExtra("The web search ddgs", "web")
        self._record, self._rows = record, rows or _ddgs

    async def search(self, query: str, k: int) -> list[Found]:
        async def ask() -> Answered:
            found = await in_thread(lambda: self._rows(query, k))
            return Answered(200, {}, json.dumps(found).encode())

        asked = Asked(f"ddgs:{k}:{query}")
        answer = await (ask() if self._record is None else self._record.through(asked, ask))
        rows = [row for row in json.loads(answer.body) if str(row.get("href", "")).startswith(("http://", "https://"))]
        return [Found(plain(row.get("title"), 200), row["href"], plain(row.get("body"))) for row in rows[:k]]


def _ddgs(query: str, k: int) -> list[dict[str, Any]]:
    from ddgs import DDGS
    from ddgs.exceptions import DDGSException, RatelimitException, TimeoutException

    try:
        return list(DDGS(timeout=15).text(query, max_results=k))
    except RatelimitException:
        raise ToolError("The search engines behind ddgs refuse for now: try again later.") from None
    except TimeoutException:
        raise ToolError("The search engines behind ddgs did not answer in time: try again later.") from None
    except DDGSException as error:
        if "No results" in str(error):
            return []
        raise ToolError("The search engines behind ddgs can't be reached or read: try again later.") from None
