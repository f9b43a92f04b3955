"""Passages that a graph looks up for itself: the run's tool `retrieve`, or else `search`, and its reply in pieces."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from maieutic.context import Context
from maieutic.types import ToolCall, ToolResult

TOOLS = ("retrieve", "search")  # the first that the run has is asked
NEEDED = "|".join(TOOLS)
MOST = 20  # passages of one search
_HEAD = re.compile(r"^\[(\d+)\] (.*)$", re.MULTILINE)
_SOURCE = re.compile(r"source (\d+): (.*?)(?:, page \d+)?, characters \d+-\d+")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text with the title of what it is from, and its place: as the tool names it, a URL for a web page."""

    title: str
    text: str
    place: str

    def __str__(self) -> str:
        return f"{self.title}\n{self.text}"


@dataclass(frozen=True, slots=True)
class Found:
    """What was found for a query after the model call `call_id`."""

    call_id: str
    query: str
    passages: tuple[Passage, ...]


async def look_up(ctx: Context, query: str, k: int, parent: str = "", number: int = 1) -> Found:
    """At most `k` passages for `query`, best first; none where nothing was found or the search failed, which the trace
    tells apart. `parent` is the model call that asks; `number` tells the searches of one branch apart."""
    name = next(one for one in TOOLS if one in ctx.run.tools)
    arguments: dict[str, Any] = {"query": query}
    if "k" in ctx.run.tools[name].parameters.model_fields:
        arguments["k"] = min(k, MOST)
    call = ToolCall(f"{ctx.node}-{number}", name, json.dumps(arguments, ensure_ascii=False))
    result = await ctx.use(call, parent)
    return Found(parent, query, tuple(read_passages(result)[:k]))


def read_passages(result: ToolResult) -> list[Passage]:
    """The passages of a reply: numbered ones, each with its title behind the number; a reply of another form is one."""
    if result.status != "ok" or not result.content.strip():
        return []
    listed = result.meta.get("hits", result.meta.get("urls"))
    if listed == []:
        return []
    content = result.content
    heads = _heads(content, result.meta)
    if not heads:
        title, _, _ = content.strip().partition("\n")
        return [Passage(title[:80], content.strip(), result.name)]
    ends = [*(head.start() for head in heads[1:]), len(content)]
    return [_passage(head, content[head.end() : end].strip()) for head, end in zip(heads, ends, strict=True)]


def _heads(content: str, meta: dict[str, Any]) -> list["re.Match[str]"]:
    """The lines that begin a passage: numbered without a gap, and naming what the tool says it found there."""
    heads: list[re.Match[str]] = []
    for match in _HEAD.finditer(content):
        at = len(heads)
        if int(match[1]) == at + 1 and _names(content, match, at, meta):
            heads.append(match)
    return heads


def _names(content: str, match: "re.Match[str]", at: int, meta: dict[str, Any]) -> bool:
    if "hits" in meta:
        hits = meta["hits"]
        place = at < len(hits) and f"characters {hits[at]['start']}-{hits[at]['end']}"
        return bool(place) and match[2].startswith(f"source {hits[at]['source']}: ") and match[2].endswith(str(place))
    if "urls" in meta:
        urls = meta["urls"]
        return at < len(urls) and content.startswith(f"\n{urls[at]}", match.end())
    return True


def _passage(head: "re.Match[str]", text: str) -> Passage:
    if source := _SOURCE.fullmatch(head[2]):
        return Passage(source[2], text, head[2])
    first, _, rest = text.partition("\n")
    if "://" in first and " " not in first:
        return Passage(head[2], rest.strip(), first)
    return Passage(head[2], text, head[2])


def new_ones(known: Iterable[Passage], found: Sequence[Passage], by_title: bool = True) -> list[Passage]:
    """Those of `found` that are not known yet, by title or by place, each once."""
    seen = {_key(passage, by_title) for passage in known}
    fresh: list[Passage] = []
    for passage in found:
        key = _key(passage, by_title)
        if key not in seen:
            seen.add(key)
            fresh.append(passage)
    return fresh


def shown(passages: Sequence[Passage], longest: int | None = None) -> str:
    """Passages as a prompt shows them, numbered from 1; what is beyond `longest` characters is cut off, and said."""
    if not passages:
        return "(none)"
    text = "\n\n".join(f"[{number}] {passage}" for number, passage in enumerate(passages, 1))
    return text if longest is None or len(text) <= longest else f"{text[:longest].rstrip()} … [cut]"


def _key(passage: Passage, by_title: bool) -> str:
    return " ".join((passage.title if by_title else passage.place).casefold().split())
