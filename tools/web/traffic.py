"""How many requests are under way at once, in all and to one host, and how long a host is left alone between two."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary


class _Lanes:
    def __init__(self, overall: int, per_host: int) -> None:
        self.all = asyncio.Semaphore(overall)
        self.hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(per_host))


class Traffic:
    """Bounds that hold for each event loop; the pause between two requests to one host holds for all of them."""

    def __init__(self, overall: int = 16, per_host: int = 2, delay: float = 0.0) -> None:
        """`delay` is in seconds."""
        self._overall, self._per_host, self._delay = overall, per_host, delay
        self._lanes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Lanes] = WeakKeyDictionary()
        self._next: dict[str, float] = {}

    @asynccontextmanager
    async def turn(self, host: str, delay: float = 0.0) -> AsyncIterator[None]:
        """Held during a request; `delay` is what the host itself asks for."""
        lanes = self._lanes.setdefault(asyncio.get_running_loop(), _Lanes(self._overall, self._per_host))
        async with lanes.hosts[host]:
            await self._wait(host, max(delay, self._delay))
            async with lanes.all:
                yield

    async def _wait(self, host: str, delay: float) -> None:
        now = time.monotonic()
        start = max(now, self._next.get(host, now))
        if delay > 0:
            self._next[host] = start + delay
        await asyncio.sleep(start - now)
