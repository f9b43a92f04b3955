"""One HTTP request and its answer, with a time-out for each phase, and every failure put as a `ModelError`."""

import asyncio
from collections.abc import AsyncGenerator

import aiohttp
import httpx

from maieutic.errors import ModelError
from maieutic.llm.profile import Timeouts
from maieutic.llm.server.connections import Client, Reply
from maieutic.llm.server.net import understand

TRANSPORT_ERRORS = (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError)


class AttemptFailed(Exception):
    """One attempt failed with `error`.

    `wait` is how many seconds the server asks to wait, `stale` that only an idle connection had been closed, `without`
    the optional field of the request that the server doesn't take.
    """

    def __init__(
        self, error: ModelError, *, wait: float | None = None, stale: bool = False, without: str | None = None
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait = wait
        self.stale = stale
        self.without = without


class Exchange:
    """One POST request, sent by `open`, or with `whole` sent and answered; after `open` the answer's body comes by
    `chunks`. `close` ends it, also halfway."""

    def __init__(self, client: Client, url: str, shown: str, content: bytes, times: Timeouts) -> None:
        self._client = client
        self._url = url
        self._content = content
        self._shown = shown
        self._times = times
        self._first_byte_by: float | None = None
        self._reply: Reply | None = None

    async def open(self) -> Reply:
        """Send the request and wait for the answer's head. Raises AttemptFailed."""
        self._begin()
        try:
            async with asyncio.timeout_at(self._first_byte_by):
                self._reply = await self._client.send("POST", self._url, self._content)
        except TRANSPORT_ERRORS as error:
            raise self._failed(error, "first_byte") from error
        return self._reply

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The pieces of the answer's body as they arrive. Raises AttemptFailed."""
        assert self._reply is not None
        loop, between = asyncio.get_running_loop(), self._times.between
        phase, by = "first_byte", self._first_byte_by
        while True:
            try:
                async with asyncio.timeout_at(by):
                    chunk = await self._reply.piece()
            except TRANSPORT_ERRORS as error:
                raise self._failed(error, phase) from error
            if not chunk:
                return
            yield chunk
            phase, by = "between", None if between is None else loop.time() + between

    async def read(self) -> bytes:
        """The whole body. Raises AttemptFailed."""
        assert self._reply is not None
        pieces: list[bytes] = []
        try:
            async with asyncio.timeout_at(self._first_byte_by) as deadline:
                await self._take(self._reply, pieces, deadline)
        except TRANSPORT_ERRORS as error:
            raise self._failed(error, "between" if pieces else "first_byte") from error
        return b"".join(pieces)

    async def whole(self) -> tuple[Reply, bytes]:
        """Send the request and wait for the answer with its whole body: `open` and `read` under one time-out. Raises
        AttemptFailed."""
        self._begin()
        pieces: list[bytes] = []
        try:
            async with asyncio.timeout_at(self._first_byte_by) as deadline:
                self._reply = await self._client.send("POST", self._url, self._content)
                await self._take(self._reply, pieces, deadline)
        except TRANSPORT_ERRORS as error:
            raise self._failed(error, "between" if pieces else "first_byte") from error
        return self._reply, b"".join(pieces)

    async def close(self) -> None:
        """Release the connection; it is closed unless the answer was read to its end."""
        if self._reply is not None:
            await self._reply.close()

    def _begin(self) -> None:
        if self._times.first_byte is not None:
            self._first_byte_by = asyncio.get_running_loop().time() + self._times.first_byte

    async def _take(self, reply: Reply, pieces: list[bytes], deadline: asyncio.Timeout) -> None:
        """Read the body to its end; each piece moves the deadline on."""
        loop, between = asyncio.get_running_loop(), self._times.between
        while piece := await reply.piece():
            pieces.append(piece)
            deadline.reschedule(None if between is None else loop.time() + between)

    def _failed(self, error: Exception, phase: str) -> AttemptFailed:
        if type(error) is TimeoutError:
            return AttemptFailed(timed_out(self._shown, phase, getattr(self._times, phase)))
        return unreached(self._shown, error, began=phase == "between")


def timed_out(shown: str, phase: str, seconds: float) -> ModelError:
    """The error for a phase that took longer than the profile allows."""
    what = {
        "first_byte": "did not begin to answer within",
        "between": "stopped in the middle of its answer for",
        "total": "did not finish its answer within",
    }[phase]
    advice = f"raise timeouts.{phase} in the model's profile, or ask for fewer tokens"
    return ModelError(f"The server at {shown} {what} {seconds:g} s: {advice}.", kind="timeout", retryable=True)


def unreached(shown: str, error: Exception, began: bool = False) -> AttemptFailed:
    """The failure behind a transport's exception; `began` says that part of the answer had arrived."""
    failure = understand(error)
    if failure.kind == "unreachable":
        text = f"Nothing answers at {shown} ({failure.reason}): start the server (one of your own with `maieutic model "
        text += "up`, which `maieutic model status` shows), or give another --model."
    elif failure.kind == "refused":
        text = f"The address {shown} can't be used: {failure.reason}."
    elif began:
        text = f"The server at {shown} broke off in the middle of its answer ({failure.reason}); see its log."
    else:
        text = f"The server at {shown} gave no answer: {failure.reason}; see its log."
    error_ = ModelError(text, kind=failure.kind, retryable=failure.kind != "refused")
    return AttemptFailed(error_, stale=failure.stale and not began)
