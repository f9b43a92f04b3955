"""Pages that are gone through screen by screen, with the run's tool `read_page` or, for documents, `open_source`."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from maieutic.context import Context
from maieutic.errors import ToolError
from maieutic.types import ToolCall, ToolResult

SEARCH, READ = ("search", "retrieve"), ("read_page", "open_source")  # the first reads what the first finds
_URL = re.compile(r"https?://[^\s<>\"')\]]*[^\s<>\"')\].,;:!?]")
_SOURCE = re.compile(r"(?:source )?(\d{1,18})", re.IGNORECASE)
_GOES_ON = re.compile(r"\[Goes on: at=(\d+)\]\Z")
_PAGES = re.compile(r"It has text on pages \d+ to (\d+)\.")


@dataclass(frozen=True, slots=True)
class Screen:
    """What is seen of a page at once. `following` has the arguments that show the next screen, None at the end."""

    title: str
    text: str
    following: dict[str, Any] | None


def addresses(result: ToolResult) -> list[str]:
    """The addresses that a search found, best first: URLs, or `source N` for documents of an index."""
    if result.status != "ok":
        return []
    if "hits" in result.meta:
        found = [f"source {hit['source']}" for hit in result.meta["hits"]]
    else:
        found = [str(url) for url in result.meta.get("urls", _URL.findall(result.content))]
    return list(dict.fromkeys(found))


def among(address: str, allowed: Iterable[str]) -> str | None:
    """The one of `allowed` that `address` means; None where it is none of them."""
    plain = address.strip().partition("#")[0]
    source = _SOURCE.fullmatch(plain)
    wanted = f"source {source[1]}" if source else plain
    return next((one for one in allowed if wanted in (one, one.partition("#")[0])), None)


async def screen(ctx: Context, address: str, at: dict[str, Any] | None, parent: str, number: int) -> Screen:
    """The screen of the page at `address` that the arguments `at` show; the first where they are None. `number` tells
    the calls of one branch apart. Raises ToolError where it can't be read."""
    source = _SOURCE.fullmatch(address)
    name = "open_source" if source and "open_source" in ctx.run.tools else "read_page"
    if name not in ctx.run.tools:
        raise ToolError(f"{address} can't be read: this run has no tool {name}.")
    arguments = at or ({"source": int(source[1])} if source and name == "open_source" else {"url": address})
    call = ToolCall(f"{ctx.node}-{number}", name, json.dumps(arguments, ensure_ascii=False))
    result = await ctx.use(call, parent)
    if result.status != "ok":
        raise ToolError(result.content)
    following = _after_source(result, arguments) if name == "open_source" else _after_page(result, arguments)
    title = result.meta.get("title") or (_label(result) if name == "open_source" else address)
    return Screen(str(title), result.content, following)


def _after_page(result: ToolResult, arguments: dict[str, Any]) -> dict[str, Any] | None:
    page, pages = result.meta.get("page"), result.meta.get("pages")
    if not isinstance(page, int) or not isinstance(pages, int) or page >= pages:
        return None
    return {"url": arguments["url"], "page": page + 1}


def _after_source(result: ToolResult, arguments: dict[str, Any]) -> dict[str, Any] | None:
    page = result.meta.get("page")
    here = {"source": arguments["source"], **({} if page is None else {"page": page})}
    if more := _GOES_ON.search(result.content):
        return {**here, "at": int(more[1])}
    last = _PAGES.search(result.content.partition("\n")[0])
    if isinstance(page, int) and last and page < int(last[1]):
        return {**here, "page": page + 1}
    return None


def _label(result: ToolResult) -> str:
    head = result.content.partition("\n")[0]
    return head.partition(": ")[2].partition(", ")[0] or head
