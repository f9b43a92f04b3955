"""One model call under a budget: clipped to what is left, charged as it streams, bounded in time, timed exactly."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from maieutic.budget import Account, Lease
from maieutic.errors import BudgetExceeded
from maieutic.llm.model import Model
from maieutic.types import Completion, Delta, Request, Usage

SURE_TO_FIT = 1024  # tokens


@dataclass(frozen=True, slots=True)
class Call:
    """What became of one call: a completion, or the error that ended it and what had arrived by then."""

    request: Request
    t0: float
    t1: float
    completion: Completion | None = None
    error: BaseException | None = None
    arrived: Completion | None = None


async def call_model(
    model: Model, request: Request, account: Account, listener: Callable[[Delta], None] | None = None
) -> Call:
    """Make the call. Whatever ends it comes back in `Call.error`, so that the caller can record it first.

    Raises BudgetExceeded, before anything is sent, when nothing is left to spend.
    """
    lease = account.open_call()
    request = _clip(request, account)
    stream = _Stream(lease, listener)
    limited = account.tokens_left() is not None or account.seconds_left() is not None
    deadline = asyncio.timeout(account.seconds_left())
    t0 = time.time()
    try:
        async with deadline:
            completion = await model.sample(request, stream if limited or listener is not None else None)
    except (Exception, asyncio.CancelledError) as error:  # an own model may raise anything
        t1 = time.time()
        lease.settle(None)
        late = isinstance(error, TimeoutError) and deadline.expired()
        ended = BudgetExceeded("seconds", "The time budget ended while the model was answering.") if late else error
        return Call(request, t0, t1, error=ended, arrived=stream.arrived(t1 - t0))
    t1 = time.time()
    usage = replace(completion.usage, calls=1, seconds=t1 - t0)
    if completion.extra.get("usage_missing"):
        usage = replace(usage, completion_tokens=max(usage.completion_tokens, lease.streamed))
    lease.settle(usage)
    return Call(request, t0, t1, replace(completion, usage=usage))


def _clip(request: Request, account: Account) -> Request:
    """Ask for no more than is left. Where nothing was asked for, only if that surely fits into the model's context: a
    server refuses what doesn't, and the stream is stopped at the limit anyway."""
    left, wanted = account.tokens_left(), request.sampling.max_tokens
    if left is None or left >= (SURE_TO_FIT if wanted is None else wanted):
        return request
    return replace(request, sampling=replace(request.sampling, max_tokens=left))


class _Stream:
    """Charges the lease for each delta, keeps it in case the call is cut off, and passes it on."""

    def __init__(self, lease: Lease, listener: Callable[[Delta], None] | None) -> None:
        self._lease = lease
        self._listener = listener
        self._deltas: list[Delta] = []

    def __call__(self, delta: Delta) -> None:
        self._deltas.append(delta)
        if self._listener is not None:
            self._listener(delta)
        self._lease.progress(delta.tokens)

    def arrived(self, seconds: float) -> Completion | None:
        """What has been streamed so far; None where that is nothing."""
        if not self._deltas:
            return None
        text, reasoning = "".join(d.text for d in self._deltas), "".join(d.reasoning for d in self._deltas)
        usage = Usage(calls=1, completion_tokens=self._lease.streamed, seconds=seconds)
        return Completion(text, reasoning=reasoning or None, usage=usage)
