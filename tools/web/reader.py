"""The `Reader`: pages of the web as text, fetched or recorded, and kept for a while for reading on."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from weakref import WeakKeyDictionary

from maieutic.errors import ToolError
from maieutic.tools.web.extraction import SHARED, Extraction
from maieutic.tools.web.fetching import Fetched, Fetcher
from maieutic.tools.web.page import Page

KEPT = 32  # texts that are kept for reading on
FRESH = 900.0  # seconds for which they are
_HELD = {
    401: "asks for a login",
    402: "asks for money",
    403: "does not let programs read it",
    404: "does not exist",
    410: "is gone",
    429: "refuses because of too many requests",
    451: "may not be shown for legal reasons",
}


class Reader:
    """Reads pages through a `Fetcher`. A page that was just read is not fetched again for its next window.

    `clock` counts seconds; `extraction` makes text of pages.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        kept: int = KEPT,
        clock: Callable[[], float] = time.monotonic,
        extraction: Extraction = SHARED,
    ) -> None:
        self._fetcher, self._most, self._clock, self._extraction = fetcher, kept, clock, extraction
        self._kept: OrderedDict[str, tuple[float, Page]] = OrderedDict()
        self._under_way: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Future[Page]]]
        self._under_way = WeakKeyDictionary()

    async def page(self, url: str) -> Page:
        """The page at `url`. Raises ToolError."""
        key = url.strip().partition("#")[0]
        until, kept = self._kept.get(key, (0.0, None))
        if kept is not None and self._clock() < until:
            self._kept.move_to_end(key)
            return kept
        under_way = self._under_way.setdefault(asyncio.get_running_loop(), {})
        if key not in under_way:
            under_way[key] = asyncio.ensure_future(self._read(key))
            under_way[key].add_done_callback(lambda done: _forget(under_way, key, done))
        page = await asyncio.shield(under_way[key])
        self._kept[key] = self._clock() + FRESH, page
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return page

    async def _read(self, url: str) -> Page:
        fetched = await self._fetcher.fetch(url)
        _refuse(fetched)
        document = await self._extraction.read(fetched.answer, fetched.url)
        return Page(fetched.url, document.title, document.text, document.kind, document.note, fetched.answer.at)


def _forget(under_way: "dict[str, asyncio.Future[Page]]", key: str, done: "asyncio.Future[Page]") -> None:
    under_way.pop(key, None)
    if not done.cancelled():
        done.exception()  # whoever waited has it; nobody may be left


def _refuse(fetched: Fetched) -> None:
    """Raises ToolError for an answer that is no page."""
    status, url = fetched.answer.status, fetched.url
    if 200 <= status < 300 and status != 204:
        return
    if status == 204:
        raise ToolError(f"The page {url} is empty.")
    wait = fetched.answer.headers.get("retry-after", "")
    later = f", and asks to wait {int(wait):,} s" if wait.isdecimal() and len(wait) < 7 else ""
    if status in _HELD:
        raise ToolError(f"The page {url} {_HELD[status]} (HTTP {status}){later}.")
    if status >= 500:
        raise ToolError(f"The site of {url} has trouble of its own (HTTP {status}){later}: try later or another page.")
    raise ToolError(f"The page {url} can't be had: the site answers with HTTP {status}{later}.")
