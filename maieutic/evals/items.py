"""What became of each question in one cell, read from its collection."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from maieutic.collector.ledger import read_results
from maieutic.stats import Interval, clustered, wilson
from maieutic.types import Outcome


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run at one question. `tokens` are prompt and completion together, `seconds` wall-clock, `cost` US dollars."""

    task: str
    sample: int
    outcome: Outcome | None
    answer: str | None
    tokens: int
    calls: int
    seconds: float
    cost: float | None
    run_id: str

    @property
    def right(self) -> bool:
        return self.outcome is Outcome.CORRECT


@dataclass(frozen=True, slots=True)
class Figures:
    """A cell's figures. `accuracy` is over all attempts with a 95 % interval that allows for attempts at one question
    being alike; `selective` is over those that did not abstain; `pass_at` is the share of questions that any of their
    attempts got right, k of them each. None where there is nothing to count. The others are means a question."""

    n: int
    k: int
    accuracy: Interval | None
    selective: Interval | None
    pass_at: Interval | None
    tokens: float
    calls: float
    seconds: float
    cost: float | None
    unreadable: int
    abstained: int
    unscored: int


def attempts_in(folder: Path) -> list[Attempt]:
    """The attempts of a collection, by task and sample. Raises TraceError for a damaged line."""
    rows = sorted(read_results(folder), key=lambda row: row.key)
    return [
        Attempt(
            row.task,
            row.sample,
            row.outcome,
            row.answer,
            row.usage.tokens,
            row.usage.calls,
            row.usage.seconds,
            row.usage.cost,
            row.run_id,
        )
        for row in rows
    ]


def figures(attempts: Iterable[Attempt]) -> Figures:
    """The figures of one cell. An answer that could not be scored counts in no accuracy, and is counted."""
    attempts = list(attempts)
    by_task = grouped(attempts)
    scored = {task: [a for a in group if a.outcome is not None] for task, group in by_task.items()}
    scored = {task: group for task, group in scored.items() if group}
    spoke = [[a for a in group if a.outcome is not Outcome.ABSTAINED] for group in scored.values()]
    costs = [a.cost for a in attempts if a.cost is not None]
    return Figures(
        n=len(by_task),
        k=max(map(len, by_task.values()), default=0),
        accuracy=_share(scored.values()),
        selective=_share(group for group in spoke if group),
        pass_at=wilson(sum(any(a.right for a in g) for g in scored.values()), len(scored)) if scored else None,
        tokens=mean(a.tokens for a in attempts) if attempts else 0.0,
        calls=mean(a.calls for a in attempts) if attempts else 0.0,
        seconds=mean(a.seconds for a in attempts) if attempts else 0.0,
        cost=mean(costs) if costs else None,
        unreadable=sum(a.outcome in (Outcome.UNPARSED, Outcome.FORMAT_ERROR) for a in attempts),
        abstained=sum(a.outcome is Outcome.ABSTAINED for a in attempts),
        unscored=sum(a.outcome is None for a in attempts),
    )


def grouped(attempts: Iterable[Attempt]) -> dict[str, list[Attempt]]:
    """The attempts at each question."""
    groups: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        groups[attempt.task].append(attempt)
    return dict(groups)


def _share(groups: Iterable[list[Attempt]]) -> Interval | None:
    kept = list(groups)
    if not kept:
        return None
    return clustered([sum(a.right for a in group) for group in kept], [len(group) for group in kept])


def firsts(attempts: Iterable[Attempt]) -> Iterator[Attempt]:
    """The first attempt at each question."""
    return (group[0] for group in grouped(attempts).values())
