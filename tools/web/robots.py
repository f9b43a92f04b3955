"""What a site allows programs to read: its robots.txt, kept for a day."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.robotparser import RobotFileParser

import httpx

from maieutic.errors import ToolError
from maieutic.tools.web.exchange import Answered
from maieutic.tools.web.urls import origin_of

DAY = 86_400.0
LONGEST_DELAY = 10.0
_READ = 512_000  # bytes of a robots.txt

Get = Callable[[httpx.URL], Awaitable[Answered]]


@dataclass(frozen=True, slots=True)
class Rules:
    """One site's: `refusal` where nothing may be read, whatever `parser` says. `delay` is in seconds."""

    parser: RobotFileParser
    refusal: str | None = None
    delay: float = 0.0


class Robots:
    """`get` fetches a robots.txt, `agent` is the name that rules are looked up by, `clock` counts seconds."""

    def __init__(self, get: Get, agent: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._get, self._agent, self._clock = get, agent, clock
        self._known: dict[str, tuple[float, Rules]] = {}

    async def check(self, url: httpx.URL) -> float:
        """Seconds that the site wants between two requests. Raises ToolError where this URL may not be read."""
        rules = await self._rules(origin_of(url))
        if rules.refusal is not None:
            raise ToolError(rules.refusal)
        if not rules.parser.can_fetch(self._agent, str(url)):
            raise ToolError(f"The site {url.host} does not allow programs to read this page (its robots.txt).")
        return rules.delay

    async def _rules(self, origin: str) -> Rules:
        until, rules = self._known.get(origin, (0.0, None))
        if rules is None or self._clock() >= until:
            rules = self._read(origin, await self._get(httpx.URL(f"{origin}/robots.txt")))
            self._known[origin] = self._clock() + DAY, rules
        return rules

    def _read(self, origin: str, answer: Answered) -> Rules:
        parser = RobotFileParser()
        if answer.status >= 500 or answer.status == 429:
            return Rules(
                parser, f"The site {origin} can't be read now: its robots.txt answers {answer.status}; try later."
            )
        text = answer.body[:_READ].decode("utf-8-sig", errors="replace") if answer.status == 200 else ""
        parser.parse(text.splitlines())
        delay = parser.crawl_delay(self._agent)
        return Rules(parser, None, min(float(delay), LONGEST_DELAY) if delay else 0.0)
