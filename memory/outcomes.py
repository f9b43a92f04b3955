"""Outcomes: which strategy was tried on which question, whether it was right, and what it cost."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from maieutic.memory.journal import Journal
from maieutic.memory.similarity import Shelf
from maieutic.tools.retrieval.embedder import Embedder
from maieutic.tools.retrieval.hashed import Hashed

NEIGHBOURS, THRESHOLD = 8, 0.25


@dataclass(frozen=True, slots=True)
class Trial:
    """One attempt at a question. `correct` is None where nothing could tell; `solver` names the model."""

    question: str
    strategy: str
    correct: bool | None
    tokens: int
    solver: str = ""
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """How a strategy fared on the questions nearest to one: `rate` of right attempts, each weighted by how like its
    question is; `trials` that could be judged; `tokens` of one attempt in the mean."""

    strategy: str
    rate: float
    trials: int
    tokens: float


class Outcomes:
    """Trials in the JSONL file at `path`, which other processes may add to at the same time, or only in memory.

    Raises UserError where the file can't be read or written.
    """

    def __init__(self, path: str | Path | None = None, *, embedder: Embedder | None = None) -> None:
        self._journal = Journal(path)
        self._shelf = Shelf(self._journal, "question", embedder or Hashed())

    def __len__(self) -> int:
        return len(self._journal.entries())

    def add(self, trials: Iterable[Trial]) -> None:
        """Keep trials; they are on disk when this returns."""
        self._shelf.append([asdict(trial) for trial in trials])

    def near(
        self, question: str, *, solver: str | None = None, k: int = NEIGHBOURS, threshold: float = THRESHOLD
    ) -> list[tuple[Trial, float]]:
        """All trials of the `k` questions likest to `question`, those of one solver where it is named."""
        questions: list[str] = []
        found = []
        for entry, likeness in self._shelf.nearest(question, threshold):
            trial = _trial(entry)
            if trial is None or (solver is not None and trial.solver != solver):
                continue
            if trial.question not in questions:
                if len(questions) == k:
                    continue
                questions.append(trial.question)
            found.append((trial, likeness))
        return found


def records(near: Sequence[tuple[Trial, float]], strategies: Sequence[str]) -> list[Record]:
    """How each of `strategies` that was tried and judged fared, the best first: by its rate, then by the fewer tokens,
    then in the order of `strategies`. Trials that nothing could judge count for nothing."""
    found = []
    for strategy in strategies:
        judged = [(trial, weight) for trial, weight in near if trial.strategy == strategy and trial.correct is not None]
        total = sum(weight for _, weight in judged)
        if total > 0:
            rate = sum(weight for trial, weight in judged if trial.correct) / total
            tokens = sum(trial.tokens for trial, _ in judged) / len(judged)
            found.append(Record(strategy, rate, len(judged), tokens))
    return sorted(found, key=lambda record: (-round(record.rate, 9), record.tokens))


def _trial(entry: dict[str, object]) -> Trial | None:
    """The trial that an entry holds; None for one that lacks something."""
    try:
        trial = Trial(**{f.name: entry[f.name] for f in fields(Trial)})  # type: ignore[arg-type]
    except KeyError:
        return None
    well = isinstance(trial.tokens, int) and isinstance(trial.strategy, str) and trial.correct in (True, False, None)
    return trial if well else None
