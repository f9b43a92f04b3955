"""One request and what came back, as it is recorded: whoever asks, and whether it was asked now or long ago."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Asked:
    """What identifies a request. `headers` are the ones that change the answer; a key is never among them."""

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answered:
    """`headers` has the ones in `KEPT`, in lower case; `body` is unpacked, and cut short where `cut` says why.

    `at` is when it was fetched, in seconds since 1970, also where it comes from a record.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    cut: str | None = None
    at: float = field(default_factory=time.time)


KEPT = ("content-type", "location", "retry-after")
Ask = Callable[[], Awaitable[Answered]]
