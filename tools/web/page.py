"""A page as it is read: its text, where it was in the end, and when it was fetched."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Page:
    """`kind` is html, pdf or text; `note` says what is missing; `at` is when it was fetched, in seconds since 1970.
    None is what nobody knows."""

    url: str
    title: str | None
    text: str
    kind: str = "text"
    note: str | None = None
    at: float | None = None

    @property
    def fetched(self) -> str | None:
        """`at` as ISO 8601 in UTC."""
        return None if self.at is None else datetime.fromtimestamp(self.at, UTC).isoformat(timespec="seconds")


class PageSource(Protocol):
    """Where pages are read: the web, or a corpus of one's own."""

    async def page(self, url: str) -> Page:
        """Raises ToolError with a sentence for the model where it can't be read."""
        ...
