"""Examples to calibrate by: recorded confidences whose answers are known to be right or wrong."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from maieutic.calibration.calibrator import Method
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunEvent, RunRecord, RunSummary
from maieutic.types import Outcome

_RIGHT = {Outcome.CORRECT: True, Outcome.WRONG: False, Outcome.FORMAT_ERROR: False}


@dataclass(frozen=True, slots=True)
class Example:
    """One confidence, and whether its answer was right. `raw` is None where none could be read, or none was given;
    `read` says which of the two. `stage` is the way of answering, where the graph has several."""

    task: str
    model: str
    method: Method
    raw: float | None
    right: bool
    read: bool = True
    stage: str = ""


@dataclass(slots=True)
class Found:
    """The examples of some traces. `dropped` counts the confidences left out, by reason; `runs` those that had any, of
    `seen` runs."""

    examples: list[Example] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    seen: int = 0


def examples_in(readers: Iterable[TraceReader], tasks: Mapping[str, Task] | None = None) -> Found:
    """The confidences of all finished runs that were made without an oracle.

    Without `tasks` (by id), only those in the answer that the run returned have an outcome. With them every answer is
    checked, so that the answers that lost a vote count too: those that won it are more often right.
    """
    found = Found()
    for reader in readers:
        for summary in reader.runs():
            found.seen += 1
            if summary.finished is None or summary.oracle:
                continue
            run = reader.run(summary.run_id)
            events = run.events_of("confidence")
            found.runs += bool(events)
            found.examples += _of(run, summary, events, tasks, found.dropped)
    return found


def _of(
    run: RunRecord,
    summary: RunSummary,
    events: Iterable[RunEvent],
    tasks: Mapping[str, Task] | None,
    dropped: Counter[str],
) -> Iterator[Example]:
    for event in events:
        fields = event.fields
        if tasks is None:
            outcome, why = _as_returned(run, summary, fields.get("of"))
        else:
            outcome, why = _as_checked(run, tasks.get(summary.task_key), fields)
        right = _RIGHT.get(outcome) if outcome is not None else None
        if right is None:
            dropped[why or str(outcome).replace("_", " ")] += 1
            continue
        model = fields.get("model") or (run.header.models[0] if run.header.models else "")
        read, stage = fields.get("read", True), fields.get("stage", "")
        yield Example(summary.task_key, model, fields["method"], fields["raw"], right, read, stage)


def _as_returned(run: RunRecord, summary: RunSummary, of: str | None) -> tuple[Outcome | None, str]:
    answer_call = run.finish.fields.get("answer_call") if run.finish else None
    if summary.outcome is None:
        return None, "not verified"
    return (summary.outcome, "") if of is not None and of == answer_call else (None, "not the answer that was returned")


def _as_checked(run: RunRecord, task: Task | None, fields: Mapping[str, object]) -> tuple[Outcome | None, str]:
    if task is None or not task.checkable:
        return None, "not among the tasks"
    call = next((call for call in run.calls if call.call_id == fields.get("of")), None)
    answer = fields.get("answer")
    text = call.completion.text if call is not None and call.completion is not None else ""
    return verify(task, text, None if answer is None else str(answer)).outcome, ""
