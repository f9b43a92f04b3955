"""One server of a fleet: how much it is working on, and whether it is fit to be asked."""

import asyncio
import logging
import time
from typing import Protocol

from maieutic.errors import ModelError
from maieutic.llm.model import TokenModel
from maieutic.llm.server.net import LONGEST_WAIT, wait_before
from maieutic.llm.server.routing import digest

PROBE_SECONDS = 10.0  # that a server may take to say what it serves
LONGEST_PROBE_WAIT = 15.0  # between two looks at a server that is left out
GRAVE = 3  # failures in a row after which a server is left out even though it still lists its models

_log = logging.getLogger(__name__)


class ServedModel(TokenModel, Protocol):
    """A model behind one server, which can say what it serves."""

    async def served(self) -> list[str]: ...


class Member:
    """One server. `running` are the calls of this process that it works on; `out` says that it is left out of the
    choice until it answers again, `outages` how often that came about; `reached` that it has ever answered. `names` are
    the models it serves, None where it doesn't say, and `expected` is the one that it must."""

    def __init__(self, url: str, model: ServedModel) -> None:
        self.url = url
        self.model = model
        self.salt = digest([url.encode()])
        self.running = 0
        self.out = False
        self.outages = 0
        self.reached = False
        self.names: list[str] | None = None
        self.expected: str | None = None
        self._failures = 0
        self._rests = 0
        self._rest_until = 0.0
        self._probe_at = 0.0
        self._probe: asyncio.Task[bool] | None = None
        self._told = False

    def resting(self) -> float:
        """Seconds for which it asked not to be asked; 0 where it didn't."""
        return max(0.0, self._rest_until - time.monotonic()) if self._rest_until else 0.0

    def answered(self, outages: int) -> None:
        """A call got its answer here; `outages` is how often it had been left out when that call began."""
        self.reached = True
        if outages != self.outages:
            return
        self._failures = self._rests = 0
        self._rest_until = 0.0
        if self.out:
            self._come_back()

    def rest(self, seconds: float | None) -> None:
        """It is overloaded, and asks to be left alone for so long (None: it doesn't say how long)."""
        self.reached = True
        if not self.resting():
            self._rests += 1
            wait = wait_before(self._rests, None) if seconds is None else min(seconds, LONGEST_WAIT)
            self._rest_until = time.monotonic() + wait

    def failed(self, error: ModelError, outages: int) -> None:
        """A call that began after so many outages found it dead or dying. It is left out until it is seen to live; one
        look at it follows at once where it may have been that one call."""
        if self.out or outages != self.outages:
            return
        self._go_out()
        if error.kind == "unreachable" or self._failures >= GRAVE:
            self._leave_out(reason(error))
        else:
            self._probe_at = 0.0
            self.probe()

    def look(self) -> None:
        """If it is left out and its time has come: find out, beside what else goes on, whether it is back."""
        if self.out and time.monotonic() >= self._probe_at:
            self.probe()

    def probe(self) -> "asyncio.Task[bool]":
        """Ask what it serves; True where it answers. One such look is under way at a time."""
        loop = asyncio.get_running_loop()
        if self._probe is None or self._probe.done() or self._probe.get_loop() is not loop:
            self._probe = loop.create_task(self._look())
        return self._probe

    async def close(self) -> None:
        """End a look that is under way, and close the connections."""
        probe = self._probe
        if probe is not None and not probe.done() and probe.get_loop() is asyncio.get_running_loop():
            probe.cancel()
            await asyncio.gather(probe, return_exceptions=True)
        await self.model.close()

    async def _look(self) -> bool:
        was_out = self.out
        found = await self._ask_what_is_served()
        if found is None:
            if self.out:
                self._come_back()
            return True
        if was_out and not self.out:  # a call was answered meanwhile
            return True
        self._go_out()
        self._leave_out(found)
        return False

    async def _ask_what_is_served(self) -> str | None:
        """None where it is there and serves what it should; otherwise what is wrong with it."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                self.names = await self.model.served()
        except TimeoutError:
            return f"it says nothing for {PROBE_SECONDS:g} s"
        except ModelError as error:
            if not _lists_nothing(error):
                return reason(error)
            self.names = None
        self.reached = True
        if self.expected and self.names is not None and self.expected not in self.names:
            return f"it serves {', '.join(self.names) or 'nothing'} now"
        return None

    def _go_out(self) -> None:
        self._failures += 1
        if not self.out:
            self.out = True
            self.outages += 1

    def _leave_out(self, why: str) -> None:
        self._probe_at = time.monotonic() + min(wait_before(self._failures, None), LONGEST_PROBE_WAIT)
        if not self._told:
            self._told = True
            _log.warning("The server at %s is left out for now: %s.", self.url, why)

    def _come_back(self) -> None:
        self.out = False
        if self._told:
            self._told = False
            _log.warning("The server at %s is back.", self.url)


def reason(error: ModelError) -> str:
    """Why a server gave no answer, in a few words."""
    if error.status is not None:
        return f"it answers with an error ({error.status})"
    return {
        "unreachable": "nothing answers there",
        "cut": "it closed the connection",
        "timeout": "it did not answer in time",
    }.get(error.kind, "its answer can't be understood")


def _lists_nothing(error: ModelError) -> bool:
    """Whether a server is there, but has no list of models to show: some have none."""
    return error.kind == "malformed" or (error.status is not None and error.status < 500)
