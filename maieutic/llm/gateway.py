"""One model call under a budget: clipped to what is left, charged as it streams, bounded in time, timed exactly."""

import asyncio
import itertools
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TypeVar

from maieutic.budget import Account, Lease
from maieutic.errors import BudgetExceeded
from maieutic.llm.loops import LoopGuard, guarded_by_server
from maieutic.llm.model import Enough, Model
from maieutic.llm.profile import Profile
from maieutic.types import Completion, Delta, Request, Usage

N = TypeVar("N", int, float)
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
    model: Model,
    request: Request,
    account: Account,
    listener: Callable[[Delta], None] | None = None,
    profile: Profile | None = None,
) -> Call:
    """Make the call. Whatever ends it comes back in `Call.error`, so that the caller can record it first.

    An answer that goes in circles ends with what has arrived and the finish reason "repetition": where it is streamed,
    and at a vLLM server also where it isn't. The model's `profile` can turn that off.

    Raises BudgetExceeded, before anything is sent, when nothing is left to spend.
    """
    lease = account.open_call()
    request = _clip(request, account)
    guarded = profile is None or profile.loop_guard
    seconds = account.seconds_left()
    streamed = account.tokens_left() is not None or seconds is not None or listener is not None
    stream = _Stream(lease, request, listener, LoopGuard() if guarded and streamed else None, profile)
    if guarded and not streamed and profile is not None and profile.kind == "vllm":
        request = guarded_by_server(request)
    deadline = None if seconds is None else asyncio.timeout(seconds)
    t0 = time.time()
    try:
        async with deadline or nullcontext():
            completion = await model.sample(request, stream if streamed else None)
    except Enough as enough:  # of a model that doesn't end its call at that, but passes it on
        completion = replace(stream.arrived(0.0) or Completion(""), finish_reason=enough.reason)
    except (Exception, asyncio.CancelledError) as error:  # an own model may raise anything
        t1 = time.time()
        arrived = stream.arrived(t1 - t0)
        lease.settle(arrived.usage if arrived else None)
        late = isinstance(error, TimeoutError) and deadline is not None and deadline.expired()
        ended = _out_of_time(account) if late else error
        return Call(request, t0, t1, error=ended, arrived=arrived)
    t1 = time.time()
    usage = completion.usage
    counted = usage.completion_tokens
    if completion.extra.get("usage_missing"):
        counted = max(counted, lease.streamed)
    usage = Usage(1, usage.prompt_tokens, counted, usage.cached_tokens, usage.cost, t1 - t0)
    lease.settle(usage)
    return Call(request, t0, t1, replace(completion, usage=usage))


def _out_of_time(account: Account) -> BudgetExceeded:
    """The same sentence as wherever else it is noticed."""
    try:
        account.check()
    except BudgetExceeded as error:
        return error
    return BudgetExceeded("seconds", "The time budget ended while the model was answering.")


def _clip(request: Request, account: Account) -> Request:
    """Ask for no more than is left. Where nothing was asked for, only if that surely fits into the model's context: a
    server refuses what doesn't, and the stream is stopped at the limit anyway."""
    left, wanted = account.tokens_left(), request.sampling.max_tokens
    if left is None or left >= (SURE_TO_FIT if wanted is None else wanted):
        return request
    return replace(request, sampling=replace(request.sampling, max_tokens=left))


class _Stream:
    """Charges the lease for each delta, keeps it in case the call is cut off, passes it on, and has it guarded."""

    def __init__(
        self,
        lease: Lease,
        request: Request,
        listener: Callable[[Delta], None] | None,
        guard: Callable[[Delta], None] | None,
        profile: Profile | None,
    ) -> None:
        self._lease = lease
        self._listener = listener
        self._guard = guard
        self._deltas: list[Delta] = []
        self._request = request
        self._profile = profile

    def __call__(self, delta: Delta) -> None:
        self._deltas.append(delta)
        try:
            if self._listener is not None:
                self._listener(delta)
        finally:
            self._lease.progress(delta.tokens)
        if self._guard is not None:
            self._guard(delta)

    def arrived(self, seconds: float) -> Completion | None:
        """What has been streamed so far, with the length of its prompt where that is known; None if it is nothing."""
        if not self._deltas:
            return None
        text, reasoning = "".join(d.text for d in self._deltas), "".join(d.reasoning for d in self._deltas)
        prompt_ids = next((d.prompt_ids for d in self._deltas if d.prompt_ids is not None), self._request.prompt_ids)
        prompt = next((d.prompt_tokens for d in self._deltas if d.prompt_tokens is not None), len(prompt_ids or ()))
        own_prompt = self._request.prompt_ids is not None or "chat_template" in self._request.sampling.extra
        return Completion(
            text,
            reasoning=reasoning or None,
            prompt_token_ids=prompt_ids,
            token_ids=_joined([d.ids for d in self._deltas]),
            logprobs=_joined([d.logprobs for d in self._deltas]),
            usage=Usage(1, prompt, self._lease.streamed, seconds=seconds),
            weights=None if self._profile is None else self._profile.weights,
            template=None if own_prompt or self._profile is None else self._profile.template,
        )


def _joined(parts: list[tuple[N, ...] | None]) -> tuple[N, ...] | None:
    """One after the other; None where a part is not known."""
    known = [part for part in parts if part is not None]
    return tuple(itertools.chain(*known)) if len(known) == len(parts) else None
