"""The tool `browse` of a research loop: pages of the latest search, read side by side, numbered for citation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from maieutic.agents.pages import among
from maieutic.agents.reader import Reader, Reading
from maieutic.context import Context
from maieutic.errors import ModelError, ToolError
from maieutic.graphs.fanout import fan_out
from maieutic.tools.tool import tool
from maieutic.types import ToolCall, ToolResult

BROWSE = "browse"


@tool(timeout=None)
async def browse(urls: list[str], looking_for: str = "") -> str:
    """Have pages read that your latest search found, and get what is new in them, with each page's number.

    Give their URLs, or `source N` for documents, and say in full words what you are looking for.
    """
    raise ToolError("There is nothing to read yet.")  # a turn's library reads in its place


class Bounds(Protocol):
    """How much is read: screens of a page, and pages for one call."""

    @property
    def screens(self) -> int: ...

    @property
    def pages_at_once(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Source:
    """A page that was read, under the number by which it is cited, with all that was taken out of it."""

    number: int
    title: str
    address: str
    facts: tuple[str, ...]


def sources(readings: Sequence[Reading]) -> list[Source]:
    """The pages that were read, in the order of their first reading, numbered from 1."""
    by_address: dict[str, list[Reading]] = {}
    for reading in readings:
        by_address.setdefault(reading.address, []).append(reading)
    return [
        Source(number, of[0].title, address, tuple(fact for reading in of for fact in reading.facts))
        for number, (address, of) in enumerate(by_address.items(), 1)
    ]


class Library:
    """What one turn may read, and what was read so far: `readings` grows with every call."""

    def __init__(
        self,
        ctx: Context,
        parent: str,
        turn: int,
        reader: Reader,
        bounds: Bounds,
        allowed: Sequence[str],
        readings: Sequence[Reading],
    ) -> None:
        self._ctx, self._parent, self._turn, self._reader, self._bounds = ctx, parent, turn, reader, bounds
        self._allowed, self._calls = allowed, 0
        self.readings = list(readings)

    async def browse(self, call: ToolCall) -> ToolResult:
        """Run a call of the tool, and record it like those of the run's own tools."""
        ctx = self._ctx
        ctx.emit("tool_started", tool=call.name, arguments=call.arguments, approved=False)
        result = await replace(browse, function=self.read).call(call, ctx.branch.session)
        ctx.record(
            "tool_result",
            call_id=self._parent,
            tool_call_id=call.id,
            name=call.name,
            arguments=call.arguments,
            content=result.content,
            status=result.status,
            seconds=result.seconds,
            meta=result.meta,
        )
        ctx.emit("tool_finished", tool=call.name, status=result.status, content=result.content, meta=result.meta)
        return result

    async def read(self, urls: Sequence[str], looking_for: str) -> str:
        """What is new in the pages, as the model is told; one that can't be read, or may not be, is named with why."""
        if not urls:
            raise ToolError("No page is named: give URLs of your latest search.")
        wanted = {url: among(url, self._allowed) for url in dict.fromkeys(urls)}
        good = list(dict.fromkeys(address for address in wanted.values() if address is not None))
        read = await self._read(good[: self._bounds.pages_at_once], looking_for)
        for address in read:
            if isinstance(reading := read[address], Reading):
                self.readings.append(reading)
        return "\n\n".join(self._told(url, address, read) for url, address in wanted.items())

    async def _read(self, addresses: Sequence[str], looking_for: str) -> dict[str, Reading | str]:
        """A reading for each address, or why there is none, in the order of the addresses."""
        self._calls += 1
        names = {f"read-{self._turn}-{self._calls}-{i}": a for i, a in enumerate(addresses, 1)}
        known = [fact for reading in self.readings for fact in reading.facts]
        done: dict[str, Reading | str] = {}

        async def work(branch: Context) -> None:
            address = names[branch.branch.path.rsplit("/", 1)[-1]]
            try:
                done[address] = await self._reader(
                    branch, address, looking_for, known, self._parent, self._bounds.screens
                )
            except ToolError as error:
                done[address] = str(error)

        try:
            await fan_out(self._ctx, list(names), work)
        except ModelError as error:  # every reader failed, and each failure is recorded
            done |= {address: str(error) for address in addresses}
        return {address: done.get(address, "its reader failed.") for address in addresses}

    def _told(self, url: str, address: str | None, read: dict[str, Reading | str]) -> str:
        if address is None:
            known = ", ".join(self._allowed) or "none yet"
            return (
                f"{url} was not read: it is not among the results of your latest search. Name one of them, or search "
                f"again. They are: {known}"
            )
        if address not in read:
            return f"{url} was not read: at most {self._bounds.pages_at_once} pages are read at once."
        reading = read[address]
        if isinstance(reading, str):
            return f"{url} can't be read: {reading}"
        number = next(one.number for one in sources(self.readings) if one.address == address)
        facts = "\n".join(f"- {fact}" for fact in reading.facts)
        unread = " (its reader's reply could not be read)" if reading.unread else ""
        return f"[{number}] {reading.title} ({address})\n{facts or f'Nothing new was found there{unread}.'}"
