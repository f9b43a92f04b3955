"""The budget tree: tokens, calls, cost and wall-clock, inherited by every branch.

A child's spending counts at all its ancestors, and a call may start only while every one of them has something left.
Streamed tokens are charged as they arrive, so a limit stops the calls under way and not only the next one.
"""

import time
from dataclasses import dataclass

from maieutic.errors import BudgetExceeded, UserError
from maieutic.types import Usage


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of a run or a branch; None means no limit of that kind. `tokens` counts prompt and completion."""

    tokens: int | None = None
    calls: int | None = None
    cost: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("tokens", "calls", "cost", "seconds"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UserError(f"A budget of {value:g} {name} leaves nothing to run with: give a number above 0.")


UNLIMITED = Budget()


class Account:
    """What one node of the budget tree has spent against its limits."""

    def __init__(self, limits: Budget | None = None, parent: "Account | None" = None) -> None:
        self.limits = limits or UNLIMITED
        self._path: tuple[Account, ...] = (self, *(parent._path if parent else ()))  # up to the root
        limited = () if self.limits == UNLIMITED else (self,)
        self._limited: tuple[Account, ...] = (*limited, *(parent._limited if parent else ()))
        self.started = time.monotonic()
        self._calls = self._prompt = self._completion = self._cached = self._streaming = 0
        self._cost: float | None = None
        self._seconds = 0.0

    def child(self, limits: Budget | None = None) -> "Account":
        return Account(limits, self)

    @property
    def usage(self) -> Usage:
        """What was spent, calls under way without their tokens."""
        return Usage(self._calls, self._prompt, self._completion, self._cached, self._cost, self._seconds)

    def seconds_left(self) -> float | None:
        """Wall-clock left before the nearest deadline on the way to the root; None where there is none."""
        left = [a.started + a.limits.seconds - time.monotonic() for a in self._limited if a.limits.seconds is not None]
        return min(left) if left else None

    def tokens_left(self) -> int | None:
        """Tokens left before the nearest limit on the way to the root; None where there is none."""
        left = [a.limits.tokens - a.tokens for a in self._limited if a.limits.tokens is not None]
        return min(left) if left else None

    @property
    def tokens(self) -> int:
        return self._prompt + self._completion + self._streaming

    def check(self) -> None:
        """Raise BudgetExceeded when any limit on the way to the root is reached."""
        for account in self._limited:
            limit = account._reached()
            if limit:
                value = getattr(account.limits, limit)
                raise BudgetExceeded(limit, f"The budget of {value:g} {limit} is used up.")

    def _reached(self) -> str | None:
        limits = self.limits
        spent = {
            "tokens": (limits.tokens, self.tokens),
            "calls": (limits.calls, self._calls),
            "cost": (limits.cost, self._cost or 0.0),
            "seconds": (limits.seconds, time.monotonic() - self.started),
        }
        return next((name for name, (limit, value) in spent.items() if limit is not None and value >= limit), None)

    def open_call(self) -> "Lease":
        """Admit one model call, or raise BudgetExceeded."""
        self.check()
        for account in self._path:
            account._calls += 1
        return Lease(self)

    def _stream(self, tokens: int) -> None:
        for account in self._path:
            account._streaming += tokens

    def _settle(self, usage: Usage, streamed: int) -> None:
        for account in self._path:
            account._streaming -= streamed
            account._prompt += usage.prompt_tokens
            account._completion += usage.completion_tokens
            account._cached += usage.cached_tokens
            account._seconds += usage.seconds
            if usage.cost is not None:
                account._cost = usage.cost + (account._cost or 0.0)


class Lease:
    """One call under way: counts streamed tokens, then replaces them by the server's own count."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.streamed = 0

    def progress(self, tokens: int) -> None:
        """Charge streamed tokens; raises BudgetExceeded as soon as a token limit on the way to the root is passed."""
        self.streamed += tokens
        self._account._stream(tokens)
        left = self._account.tokens_left()
        if left is not None and left < 0:
            self._account.check()

    def settle(self, usage: Usage | None) -> None:
        """Close the call with its true usage; with None (cut off) what was streamed stays charged."""
        self._account._settle(usage or Usage(completion_tokens=self.streamed), self.streamed)
