"""The lines of a collection: one for each finished run, one for each run that raised."""

import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from maieutic.errors import ModelError
from maieutic.runner import Result
from maieutic.trace.record import RunRecord
from maieutic.types import Outcome, Usage

Key = tuple[str, int]  # task id and sample


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A finished run: a line of `results.jsonl`. The run itself is in the trace, under `run_id`."""

    task: str
    sample: int
    attempt: int
    run_id: str
    outcome: Outcome | None
    score: float | None
    answer: str | None
    partial: bool
    reason: str
    usage: Usage

    @property
    def key(self) -> Key:
        return self.task, self.sample

    @classmethod
    def of(cls, result: Result, sample: int, attempt: int) -> "ResultRow":
        return cls(
            task=result.task_id,
            sample=sample,
            attempt=attempt,
            run_id=result.run_id,
            outcome=result.outcome,
            score=result.verdict.score if result.verdict else None,
            answer=result.answer,
            partial=result.partial,
            reason=result.reason,
            usage=result.usage,
        )

    @classmethod
    def recovered(cls, run: RunRecord) -> "ResultRow":
        """The line of a run whose trace was finished when its process was killed, before the line was written."""
        assert run.finish is not None
        end, header = run.finish.fields, run.header
        return cls.from_json(
            {"task": header.task_key, "sample": header.sample, "attempt": header.attempt, "run_id": header.run_id}
            | {name: end[name] for name in ("outcome", "score", "answer", "partial", "reason", "usage")}
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ResultRow":
        outcome = None if data["outcome"] is None else Outcome(data["outcome"])
        return cls(**{**data, "outcome": outcome, "usage": Usage(**data["usage"])})

    def as_line(self) -> bytes:
        return _line(self)


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A run that raised: a line of `failures.jsonl`. `kind` is a ModelError's kind; `time` is seconds since the epoch.

    The next start tries the key again, as the next attempt.
    """

    task: str
    sample: int
    attempt: int
    run_id: str
    error: str
    kind: str | None
    message: str
    time: float = field(default_factory=time.time)

    @property
    def key(self) -> Key:
        return self.task, self.sample

    @classmethod
    def of(cls, key: Key, attempt: int, run_id: str, error: Exception) -> "FailureRow":
        kind = error.kind if isinstance(error, ModelError) else None
        return cls(*key, attempt, run_id, type(error).__name__, kind, str(error))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "FailureRow":
        return cls(**data)

    def as_line(self) -> bytes:
        return _line(self)


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group of attempts that ended early: a line of `groups.jsonl`. `left_out` samples were not needed, for `why`.

    How often such a group was right says little of the model: it ended when it did because of its answers.
    """

    task: str
    attempts: int
    correct: int
    left_out: int
    why: str
    time: float = field(default_factory=time.time)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "GroupRow":
        return cls(**data)

    def as_line(self) -> bytes:
        return _line(self)


def _line(row: ResultRow | FailureRow | GroupRow) -> bytes:
    return json.dumps(asdict(row), separators=(",", ":")).encode("ascii") + b"\n"
