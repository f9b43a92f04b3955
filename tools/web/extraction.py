"""The near end of the process that makes text of pages: starts it, asks it, kills it when a page takes too long.

Parsers of HTML and PDF meet whatever somebody put on the web. In a thread of this process a page on which one of them
never ends could not be stopped; this process can, and it is held to its memory.
"""

import asyncio
import json
from dataclasses import asdict
from threading import Lock
from typing import Any

from maieutic.errors import ToolError, UserError
from maieutic.tools.child import Child
from maieutic.tools.threads import in_thread
from maieutic.tools.web.document import LARGEST, Document
from maieutic.tools.web.exchange import Answered

SECONDS = 60.0  # that making text of one page may take
START_SECONDS = 60.0
_PROGRAM = ("-P", "-W", "ignore", "-m", "maieutic.tools.web.extractor")


class Extraction:
    """A process that reads documents, started when it is first needed. Pages take turns, of `seconds` each."""

    def __init__(
        self, seconds: float = SECONDS, start: float = START_SECONDS, program: tuple[str, ...] = _PROGRAM
    ) -> None:
        self._seconds, self._start_seconds, self._program = seconds, start, program
        self._lock = Lock()
        self._child: Child | None = None

    async def read(self, answer: Answered, url: str, largest: int = LARGEST) -> Document:
        """As `document.read` does. Raises ToolError, also where it takes too long; MissingExtra."""
        try:
            async with asyncio.timeout(2 * self._seconds + self._start_seconds):
                document: Document = await in_thread(lambda: self._read(answer, url, largest))
                return document
        except TimeoutError:  # others were before it
            raise ToolError(f"Making text of {url} took longer than {self._seconds:g} s: try another page.") from None

    def _read(self, answer: Answered, url: str, largest: int) -> Document:
        asked = json.dumps({**asdict(answer), "body": len(answer.body), "url": url, "largest": largest})
        with self._lock:
            try:
                said = self._ask(asked.encode(), answer.body)
            except (EOFError, OSError):
                self._stop()
                raise ToolError(f"Making text of {url} broke its reader: try another page.") from None
            except BaseException:  # an unread reply must not become that of the next page
                self._stop()
                raise
        if said is None:
            raise ToolError(f"Making text of {url} took longer than {self._seconds:g} s: try another page.")
        if said["kind"] == "document":
            return Document(**said["value"])
        raise (UserError if said["kind"] == "user" else ToolError)(said["value"])

    def _ask(self, asked: bytes, body: bytes) -> dict[str, Any] | None:
        """The reply; None where it did not come in time, and the process was killed."""
        seconds = self._seconds
        if self._child is None:
            self._child = Child(*self._program)
            seconds += self._start_seconds
        self._child.requests.send_bytes(asked)
        self._child.requests.send_bytes(body)
        if not self._child.replies.poll(seconds):
            self._stop()
            return None
        said: dict[str, Any] = json.loads(self._child.replies.recv_bytes())
        return said

    def close(self) -> None:
        """End the process. The next page starts another."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


SHARED = Extraction()
"""The one of this process: pages are read one after the other, whoever asks."""
