"""The `SearchProvider` noun: a query to titles, URLs and snippets; and which provider a name or the environment means.

searxng           a SearXNG instance: MAIEUTIC_SEARXNG_URL
brave             Brave Search: BRAVE_API_KEY
tavily            Tavily: TAVILY_API_KEY
ddgs              metasearch without a key: pip install 'maieutic[web]'
index:NAME        an index made with `maieutic index`
FILE.jsonl        pages of one's own, a JSON object a line with url, title and text
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from maieutic.errors import UnknownName, UserError
from maieutic.tools.web.page import Page
from maieutic.tools.web.record import Record

VARIABLES = {"searxng": "MAIEUTIC_SEARXNG_URL", "brave": "BRAVE_API_KEY", "tavily": "TAVILY_API_KEY"}
KNOWN = (*VARIABLES, "ddgs", "index:NAME", "FILE.jsonl")


@dataclass(frozen=True, slots=True)
class Found:
    """One result: plain text, without markup. `date` is as the provider writes it, None where it doesn't."""

    title: str
    url: str
    snippet: str
    date: str | None = None


class SearchProvider(Protocol):
    """Searches; used by several calls at once."""

    @property
    def name(self) -> str: ...

    async def search(self, query: str, k: int) -> list[Found]:
        """At most `k` results, best first. Raises ToolError with a sentence for the model."""
        ...


def find_provider(
    name: str | None = None, record: Record | None = None, env: Mapping[str, str] = os.environ
) -> SearchProvider:
    """The provider of this name; without one the first of searxng, brave and tavily that is set up.

    Raises UserError where it isn't set up, or none is, with the variables to set.
    """
    from maieutic.tools.web.engines import Brave, SearXNG, Tavily

    name = name or next((one for one, variable in VARIABLES.items() if env.get(variable)), None)
    if name is None:
        raise UserError(
            f"No web search is set up: set one of {', '.join(VARIABLES.values())}, or name one, such as search@ddgs."
        )
    if name in VARIABLES:
        value = env.get(VARIABLES[name], "").strip()
        if not value:
            raise UserError(f"The web search {name} is not set up: set {VARIABLES[name]}.")
        engines: dict[str, Callable[..., SearchProvider]] = {"searxng": SearXNG, "brave": Brave, "tavily": Tavily}
        return engines[name](value, record=record)
    if name == "ddgs":
        from maieutic.tools.web.metasearch import Metasearch

        return Metasearch(record=record)
    if (corpus := find_corpus(name)) is not None:
        return corpus
    raise UnknownName("web search", name, KNOWN)


def find_corpus(name: str) -> "Corpus | None":
    """Pages of one's own by name, opened; None for a name that doesn't mean any. Raises UserError."""
    if name.startswith("index:"):
        from maieutic.tools.web.indexed import IndexedPages

        return IndexedPages(name.removeprefix("index:"))
    if name.endswith(".jsonl"):
        from pathlib import Path

        from maieutic.tools.web.page_file import PageFile

        return PageFile(Path(name).expanduser())
    return None


class Corpus(SearchProvider, Protocol):
    """Pages of one's own: what is found in them can be read too."""

    async def page(self, url: str) -> Page: ...
