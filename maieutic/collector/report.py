"""What is said of a collection: while it goes on, and when it ends."""

import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from maieutic.collector.rows import FailureRow, GroupRow, ResultRow
from maieutic.stats import Interval, clustered
from maieutic.types import Outcome, Usage

WINDOW = 30.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is. `done` counts results on disk, those of earlier starts included; `failed` is of this start.

    `rate` is results per second over the last half minute; `eta` is in seconds. Both are None while unknown.
    `under_way` runs, of at most `limit` at present, are being worked on; the `oldest` of them for so many seconds.
    """

    done: int
    total: int
    correct: int
    failed: int
    tokens: int
    seconds: float
    rate: float | None
    eta: float | None
    under_way: int = 0
    limit: int = 0
    oldest: float = 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """The results of one collection as one row of a table.

    `accuracy` is over the runs whose answer could be checked, with a 95 % interval that allows for several samples of
    one task being alike; None where there are none. `coverage` is the share of them that did not abstain, `selective`
    the accuracy over that share; None where there are none. An unreadable answer is no abstention: it counts as
    answered. `usage` is the sum over all runs: its `seconds` are those of the runs, which overlap.
    """

    n: int
    correct: int
    outcomes: dict[Outcome, int]
    partial: int
    accuracy: Interval | None
    coverage: Interval | None
    selective: Interval | None
    usage: Usage

    @property
    def abstained(self) -> int:
        return self.outcomes.get(Outcome.ABSTAINED, 0)


@dataclass(frozen=True, slots=True)
class CollectReport:
    """What a start came to. `summary` is of all results in `out`; `new`, `failed` and `seconds` are of this start.

    `stopped` says in one sentence why it ended before its end: that it was interrupted, or that the model's server
    stopped answering, be it for the last run alone; None otherwise. `problems` are lines of the task file that could
    not be used, a sentence each. `left_out` attempts were not needed, because their groups ended early; `total` is
    without them. `divided` says that `out` holds shards, each with files of its own. Where it was asked for behind a
    `url`, `out` is the folder here in which it was worked on.
    """

    out: Path
    total: int
    done: int
    new: int
    recovered: int
    failed: int
    failures: dict[str, int]
    summary: Summary
    seconds: float
    problems: list[str]
    stopped: str | None
    left_out: int = 0
    divided: bool = False
    url: str | None = None

    @property
    def place(self) -> str:
        """Where all of it is to be found from anywhere."""
        return self.url or str(self.out)

    @property
    def left(self) -> int:
        """Runs that were not even tried."""
        return self.total - self.done - self.failed

    @property
    def traces(self) -> Path:
        """What a TraceReader reads."""
        return self.out if self.divided else self.out / "traces"

    @property
    def results(self) -> Path:
        return self.out / ("shard-*/results.jsonl" if self.divided else "results.jsonl")


@dataclass
class Tally:
    """Counts rows as they come, in memory that grows with tasks and not with rows."""

    n: int = 0
    partial: int = 0
    usage: Usage = Usage()
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    _tasks: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # correct, answered, all that were checked

    def add(self, row: ResultRow) -> None:
        self.n += 1
        self.partial += row.partial
        self.usage += row.usage
        if row.outcome is not None:
            self.outcomes[row.outcome] += 1
            right, answered, seen = self._tasks.get(row.task, (0, 0, 0))
            correct, spoke = row.outcome is Outcome.CORRECT, row.outcome is not Outcome.ABSTAINED
            self._tasks[row.task] = (right + correct, answered + spoke, seen + 1)

    def merge(self, other: "Tally") -> None:
        """Add what another one has counted, of other tasks."""
        self.n += other.n
        self.partial += other.partial
        self.usage += other.usage
        self.outcomes.update(other.outcomes)
        self._tasks |= other._tasks

    @property
    def correct(self) -> int:
        return self.outcomes[Outcome.CORRECT]

    def summary(self) -> Summary:
        rights, answered, sizes = zip(*self._tasks.values(), strict=True) if self._tasks else ((), (), ())
        return Summary(
            self.n,
            self.correct,
            dict(self.outcomes),
            self.partial,
            clustered(rights, sizes) if sizes else None,
            clustered(answered, sizes) if sizes else None,
            clustered(rights, answered) if any(answered) else None,
            self.usage,
        )


class Meter:
    """Turns rows that reached the disk into progress."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.tally = Tally()
        self.failures: Counter[str] = Counter()
        self.new = 0
        self._started = time.monotonic()
        self._marks: deque[tuple[float, int]] = deque([(self._started, 0)])

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def add(self, rows: Iterable[ResultRow | FailureRow | GroupRow]) -> Progress:
        for row in rows:
            if isinstance(row, FailureRow):
                self.failures[row.message] += 1
            elif isinstance(row, ResultRow):
                self.tally.add(row)
                self.new += 1
        now = time.monotonic()
        self._marks.append((now, self.new))
        while len(self._marks) > 2 and self._marks[1][0] < now - WINDOW:
            self._marks.popleft()
        return self._progress(now)

    def _progress(self, now: float) -> Progress:
        begun, before = self._marks[0]
        rate = (self.new - before) / (now - begun) if self.new > before and now > begun else None
        failed = self.failures.total()
        left = self.total - self.tally.n - failed
        return Progress(
            done=self.tally.n,
            total=self.total,
            correct=self.tally.correct,
            failed=failed,
            tokens=self.tally.usage.tokens,
            seconds=self.seconds,
            rate=rate,
            eta=left / rate if rate else None,
        )


def summarise(results: Iterable[ResultRow]) -> Summary:
    """The table row of these results: all of a collection, or any part of it."""
    tally = Tally()
    for row in results:
        tally.add(row)
    return tally.summary()
