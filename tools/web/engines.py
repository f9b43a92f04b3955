"""The search providers that are asked over plain HTTP: SearXNG, Brave Search and Tavily."""

import json
from base64 import b64encode
from urllib.parse import urlencode

import httpx

from maieutic.errors import ToolError, UserError
from maieutic.tools.web.exchange import Asked
from maieutic.tools.web.provider import Found
from maieutic.tools.web.record import Record
from maieutic.tools.web.requests import Provider, entries, plain

BRAVE = "https://api.search.brave.com"
TAVILY = "https://api.tavily.com"
_MOST = 20  # results that Brave and Tavily give at once


class SearXNG:
    """An instance of SearXNG that gives its results as JSON too; a user name and password may stand in its URL."""

    name = "searxng"

    def __init__(self, url: str, *, record: Record | None = None, timeout: float = 20.0) -> None:
        """Raises UserError for what isn't a URL."""
        try:
            base = httpx.URL(url)
        except httpx.InvalidURL:
            base = httpx.URL("")
        if base.scheme not in ("http", "https") or not base.host:
            raise UserError("MAIEUTIC_SEARXNG_URL is not a URL: give one such as http://localhost:8888.")
        login = base.userinfo and {"authorization": f"Basic {b64encode(base.userinfo).decode()}"}
        bare = base.copy_with(username=None, password=None, query=None, fragment=None)
        self._url = str(bare).rstrip("/").removesuffix("/search")
        self._provider = Provider("SearXNG", login or {}, record, timeout)

    async def search(self, query: str, k: int) -> list[Found]:
        url = f"{self._url}/search?{urlencode({'q': query, 'format': 'json'})}"
        try:
            answer = await self._provider.json(Asked(url))
        except ToolError as error:
            if "HTTP 403" in str(error):
                raise ToolError(
                    f"{error} If it gives no JSON: add json to search.formats in its settings.yml."
                ) from None
            raise
        rows = entries(answer.get("results") if isinstance(answer, dict) else None, "SearXNG")
        failed = answer.get("unresponsive_engines")
        if not rows and failed and isinstance(failed, list):
            names = ", ".join(str(one[0]) for one in failed if isinstance(one, list) and one)
            raise ToolError(f"SearXNG found nothing, because its engines did not answer ({names}): try again later.")
        return [
            Found(plain(row.get("title"), 200), row["url"], plain(row.get("content")), _date(row.get("publishedDate")))
            for row in rows[:k]
        ]


class Brave:
    """Brave Search, with a key."""

    name = "brave"

    def __init__(self, key: str, *, url: str = BRAVE, record: Record | None = None, timeout: float = 20.0) -> None:
        self._url = url
        self._provider = Provider("Brave Search", {"x-subscription-token": key}, record, timeout)

    async def search(self, query: str, k: int) -> list[Found]:
        words = " ".join(query.split()[:50])[:400]  # more is refused
        asked = urlencode({"q": words, "count": min(k, _MOST)})
        answer = await self._provider.json(Asked(f"{self._url}/res/v1/web/search?{asked}"))
        web = answer.get("web") if isinstance(answer, dict) else None
        if isinstance(answer, dict) and web is None:
            return []  # it leaves out the kinds of results that it has none of
        rows = entries(web.get("results") if isinstance(web, dict) else None, "Brave Search")
        return [
            Found(plain(row.get("title"), 200), row["url"], plain(row.get("description")), _date(row.get("page_age")))
            for row in rows[:k]
        ]


class Tavily:
    """Tavily, with a key."""

    name = "tavily"

    def __init__(self, key: str, *, url: str = TAVILY, record: Record | None = None, timeout: float = 30.0) -> None:
        self._url = url
        self._provider = Provider("Tavily", {"authorization": f"Bearer {key}"}, record, timeout)

    async def search(self, query: str, k: int) -> list[Found]:
        body = json.dumps({"query": query, "max_results": min(k, _MOST)}).encode()
        asked = Asked(f"{self._url}/search", "POST", (("content-type", "application/json"),), body)
        answer = await self._provider.json(asked)
        rows = entries(answer.get("results") if isinstance(answer, dict) else None, "Tavily")
        return [
            Found(plain(row.get("title"), 200), row["url"], plain(row.get("content")), _date(row.get("published_date")))
            for row in rows[:k]
        ]


def _date(value: object) -> str | None:
    return plain(value, 40) or None
