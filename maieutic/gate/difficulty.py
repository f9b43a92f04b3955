"""Difficulty: what is always or never solved teaches nothing within a group (DAPO, arXiv 2503.14476)."""

from collections.abc import Iterable, Iterator

from maieutic.gate.sample import Sample
from maieutic.recipes.recipe import Candidate, Tally
from maieutic.recipes.scratch import scratch
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunSummary
from maieutic.types import Outcome

LEAST = 2  # attempts below which a share says nothing


class Difficulty:
    """Strictly between `above` and `below`, the share of right attempts at a prompt. A share that isn't known is
    neither too high nor too low: such samples pass and are counted in `unknown`."""

    name = "difficulty"

    def __init__(self, above: float, below: float) -> None:
        self._above, self._below = above, below
        self.unknown = 0
        table = "CREATE TABLE groups (name TEXT PRIMARY KEY, solved INTEGER, n INTEGER) WITHOUT ROWID"
        self._groups = scratch(table)

    def __call__(self, sample: Sample) -> str | None:
        """Of a row that states its share (`solved`)."""
        return self._reason(sample.solved)

    def learn(self, reader: TraceReader) -> None:
        """Take in how the runs of a folder fared; without those whose groups might end early for their answers, which
        tell no fair share."""
        for summary in reader.runs():
            if summary.outcome is not None and summary.group_samples is None:
                values = (_group(summary), summary.outcome is Outcome.CORRECT)
                self._groups.execute(
                    "INSERT INTO groups VALUES (?, ?, 1) ON CONFLICT (name) DO UPDATE "
                    "SET solved = solved + excluded.solved, n = n + 1",
                    values,
                )

    def runs(self, runs: Iterable[Candidate], tally: Tally) -> Iterator[Candidate]:
        """The runs of prompts that are neither too easy nor too hard; the others are dropped with their reason."""
        for candidate in runs:
            known = self._groups.execute("SELECT solved, n FROM groups WHERE name = ?", (_group(candidate.summary),))
            solved, n = known.fetchone() or (0, 0)
            reason = self._reason(solved / n if n >= LEAST else None)
            if reason is None:
                yield candidate
            else:
                tally.seen += 1
                tally.dropped[reason] += 1

    def _reason(self, share: float | None) -> str | None:
        if share is None:
            self.unknown += 1
            return None
        if self._above < share < self._below:
            return None
        return "difficulty: always solved" if share >= self._below else "difficulty: never solved"


def _group(summary: RunSummary) -> str:
    return summary.group_id or summary.task_key
