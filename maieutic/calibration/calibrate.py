"""Calibrating: the confidences in traces become a curve for each model and method, and a report of how good they are.

What is said of calibrated confidences is said of held-out ones: every task's are calibrated by curves that have not
seen the task (five folds).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from maieutic.calibration.calibrator import Calibrator, Curve, Method
from maieutic.calibration.examples import Example, Found, examples_in
from maieutic.calibration.fitting import Fit, fit_curve
from maieutic.calibration.measures import Bin, Operating, at_risk, calibration_error, reliability, separation
from maieutic.errors import UserError
from maieutic.stats import Interval, clustered
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader

FEWEST = 20  # answers that a curve is learnt from
FOLDS = 5
Kind = tuple[str, Method, str]
"""What a curve is learnt of: a model, a method, and a stage ("" where the graph has none)."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """One curve, and how good the confidences are without and with it.

    `missing` of all its answers had no confidence, `unread` of them because the reply could not be read. `after` is of
    held-out answers, as are `bins`; None where the curve says nothing or there are too few tasks. `abstaining` is a
    threshold for confidences as this curve calibrates them.
    """

    curve: Curve
    tasks: int
    missing: int
    unread: int
    right: Interval
    before: Interval
    after: Interval | None
    separation: float | None
    bins: list[Bin]
    abstaining: Operating | None


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """What was learnt, and what was left out. `runs` had confidences; `dropped` counts confidences by reason."""

    calibrator: Calibrator
    parts: list[Calibrated]
    runs: int
    dropped: Counter[str] = field(default_factory=Counter)
    few: Mapping[Kind, int] = field(default_factory=dict)


def calibrate(
    dirs: Sequence[Path], tasks: Sequence[Task] | None = None, *, fit: Fit = "auto", risk: float = 0.1
) -> CalibrationReport:
    """Learn from the traces in `dirs`; with `tasks` all their answers are checked, not only those that were returned.

    `risk` is the share of wrong answers that may be given. Raises UserError where there is too little to learn from.
    """
    by_id = None if tasks is None else {task.id: task for task in tasks}
    with ExitStack() as stack:
        found = examples_in([stack.enter_context(TraceReader(root)) for root in dirs], by_id)
    groups: dict[Kind, list[Example]] = {}
    for example in found.examples:
        groups.setdefault((example.model, example.method, example.stage), []).append(example)
    few = {key: _stated(group) for key, group in groups.items() if _stated(group) < FEWEST}
    parts = [_part(group, fit, risk) for key, group in sorted(groups.items()) if key not in few]
    if not parts:
        raise UserError(_why_none(found, few, ", ".join(map(str, dirs))))
    made = {"from": [str(root) for root in dirs], "runs": found.runs, "checked": tasks is not None}
    calibrator = Calibrator(curves=tuple(part.curve for part in parts), made=made)
    return CalibrationReport(calibrator, parts, found.runs, found.dropped, few)


def _part(group: list[Example], fit: Fit, risk: float) -> Calibrated:
    stated = [(example, example.raw) for example in group if example.raw is not None]
    seen = [example for example, _ in stated]
    raw, right, tasks = [r for _, r in stated], [e.right for e in seen], [e.task for e in seen]
    curve = fit_curve(seen[0].model, seen[0].method, raw, right, fit, seen[0].stage)
    held = None if curve.fit == "constant" else _held_out(curve, raw, right, tasks, fit)
    sizes = Counter(tasks)
    hits = Counter(example.task for example in seen if example.right)
    return Calibrated(
        curve,
        tasks=len(sizes),
        missing=len(group) - len(seen),
        unread=sum(not example.read for example in group),
        right=clustered([hits[task] for task in sizes], list(sizes.values())),
        before=calibration_error(raw, right, tasks),
        after=calibration_error(held, right, tasks) if held else None,
        separation=separation(raw, right),
        bins=reliability(held or raw, right),
        abstaining=None if curve.fit == "constant" else at_risk([_value(curve, r) for r in raw], right, risk),
    )


def _held_out(
    curve: Curve, raw: Sequence[float], right: Sequence[bool], tasks: Sequence[str], fit: Fit
) -> list[float] | None:
    """Every confidence as calibrated by the tasks of the other folds; None where a fold leaves too few of them."""
    folds = [_fold(task) for task in tasks]
    curves = {}
    for fold in sorted(set(folds)):
        others = [i for i, other in enumerate(folds) if other != fold]
        if len(others) < FEWEST // 2:
            return None
        kept = fit_curve(curve.model, curve.method, [raw[i] for i in others], [right[i] for i in others], fit)
        if kept.fit == "constant":
            return None
        curves[fold] = kept
    return [_value(curves[fold], value) for fold, value in zip(folds, raw, strict=True)]


def _value(curve: Curve, raw: float) -> float:
    value = curve(raw)
    assert value is not None  # constant curves were left out
    return value


def _fold(task: str) -> int:
    return blake2b(task.encode("utf-8", "surrogateescape"), digest_size=4).digest()[0] % FOLDS


def _stated(group: Sequence[Example]) -> int:
    return sum(example.raw is not None for example in group)


def _why_none(found: Found, few: Mapping[Kind, int], places: str) -> str:
    if not found.seen:
        return f"There are no runs in {places}: collect some with a graph that asks for confidences."
    if few:
        most = max(few.values())
        return f"There are {most} confidences of one model and kind at most, and it takes {FEWEST}: collect more runs."
    if not found.dropped:
        return (
            "There are no confidences in these runs: collect some with a graph that asks for them, as round_table does."
        )
    reasons = ", ".join(f"{number} {reason}" for reason, number in found.dropped.most_common())
    return (
        f"No confidence has a known outcome ({reasons}): name the tasks with --tasks, so that answers can be checked."
    )
