"""The pace: how many runs may be under way at once, fixed or as many as the server bears.

The adaptive pace is additive increase, multiplicative decrease (Chiu and Jain 1989, "Analysis of the Increase and
Decrease Algorithms for Congestion Avoidance in Computer Networks"): it doubles until the server is loaded for the first
time, then grows by a step each window and gives way by a factor, once a window, whenever the server is loaded. A window
is as many ended runs as the limit allows at once: what a change has brought about is seen no sooner.

A server is loaded when it refuses for that reason (429, 503), when its queue is long, or, where it doesn't tell of its
queue, when a token takes far longer than at its best.
"""

import re
import statistics
from collections.abc import Callable

from maieutic.errors import UserError

STEP = 1 / 16  # of the limit, that it grows by in a window
YIELDS = 0.7  # what is left of the limit where the server is loaded
YIELDS_TO_REFUSAL = 0.5
LONG_QUEUE = 1 / 8  # of the limit
SLOW = 3.0  # times the best window's median seconds a token
FORGETS = 1.02  # by which the best fades each window, as the work may change


class Pace:
    """A limit on what is under way, shared by every pool that is given the same one. This one stays as it is."""

    def __init__(self, limit: int) -> None:
        self.limit = self.low = self.high = limit
        self.under_way = 0
        self._listeners: list[Callable[[], None]] = []

    def room(self) -> bool:
        return self.under_way < self.limit

    def begin(self) -> None:
        self.under_way += 1

    def end(self) -> None:
        self.under_way -= 1
        for listener in self._listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` called whenever there may be room; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def took(self, seconds: float, tokens: int) -> None:
        """A run has ended: its wall-clock and its sampled tokens."""

    def refused(self) -> None:
        """The server has said that it is overloaded."""

    def queued(self, waiting: int) -> None:
        """So many requests wait at the server."""


class AdaptivePace(Pace):
    """Between `low` and `high`, as many as the server bears."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__(low)
        self.high = high
        self._doubling = True
        self._best: float | None = None
        self._tells = False  # of its queue
        self._ended, self._queue = 0, 0
        self._full, self._gave_way = False, False
        self._latencies: list[float] = []

    def begin(self) -> None:
        super().begin()
        self._full = self._full or self.under_way >= self.limit

    def took(self, seconds: float, tokens: int) -> None:
        self._ended += 1
        if tokens:
            self._latencies.append(seconds / tokens)
        if self._ended >= self.limit:
            self._conclude()

    def refused(self) -> None:
        self._give_way(YIELDS_TO_REFUSAL)

    def queued(self, waiting: int) -> None:
        self._tells = True
        self._queue = max(self._queue, waiting)
        if waiting > max(1.0, self.limit * LONG_QUEUE):
            self._give_way(YIELDS)

    def _begin_window(self) -> None:
        self._ended, self._queue = 0, 0
        self._full, self._gave_way = False, False
        self._latencies.clear()

    def _conclude(self) -> None:
        """A window has ended: more, if all of the limit was used and nothing speaks against it."""
        if self._is_slow():
            self._give_way(YIELDS)
        if self._gave_way:
            self._begin_window()
            return
        if self._full and self._queue <= 1:
            grown = self.limit * 2 if self._doubling else self.limit + max(1, int(self.limit * STEP))
            self.limit = min(self.high, grown)
        self._begin_window()

    def _is_slow(self) -> bool:
        if self._tells or not self._latencies:
            return False
        median = statistics.median(self._latencies)
        best = median if self._best is None else min(median, self._best * FORGETS)
        slow = median > SLOW * best
        self._best = best
        return slow

    def _give_way(self, factor: float) -> None:
        if self._gave_way:
            return
        self._doubling = False
        self.limit = max(self.low, int(self.limit * factor))
        self._begin_window()
        self._gave_way = True


def pace_of(concurrency: int | str | Pace) -> Pace:
    """`64`, or `8-512` for as many of them as the server bears. Raises UserError for anything else."""
    if isinstance(concurrency, Pace):
        return concurrency
    found = re.fullmatch(r"\s*(-?\d+)(?:\s*-\s*(\d+))?\s*", str(concurrency))
    if found is None:
        raise UserError(f"concurrency is {concurrency!r}: give a number such as 64, or bounds such as 8-512.")
    low, high = int(found[1]), int(found[2] or found[1])
    if low < 1:
        raise UserError(f"concurrency is {low}: give a number from 1.")
    if high < low:
        raise UserError(f"concurrency is {concurrency!r}: give the lower bound first, as in 8-512.")
    return Pace(low) if high == low else AdaptivePace(low, high)


def share(concurrency: int | str, among: int) -> str:
    """What each of so many processes may have under way. Raises UserError as `pace_of` does."""
    pace = pace_of(concurrency)
    return f"{max(1, pace.low // among)}-{max(1, -(-pace.high // among))}"
