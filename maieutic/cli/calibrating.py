"""The work of `maieutic calibrate`."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast, get_args

from maieutic.calibration.calibrate import Calibrated, CalibrationReport, calibrate
from maieutic.calibration.fitting import Fit
from maieutic.cli.codes import WRONG_REQUEST
from maieutic.errors import UnknownName, UserError
from maieutic.tasks.source import load_tasks


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be learnt from."""

    dirs: tuple[Path, ...]
    out: Path
    tasks: str | None
    fit: str
    risk: float


def learn(wanted: Wanted, as_json: bool) -> int:
    """Learn, write, print, and return the exit code. Raises UserError where something can't be done as asked."""
    if wanted.fit not in get_args(Fit):
        raise UnknownName("fit", wanted.fit, get_args(Fit))
    if not 0 <= wanted.risk < 1:
        raise UserError(f"A risk of {wanted.risk:g} is not possible: give a share from 0 to below 1.")
    loaded = None if wanted.tasks is None else load_tasks(wanted.tasks)
    for problem in loaded.problems if loaded else []:
        print(f"maieutic: {problem}", file=sys.stderr)
    tasks = None if loaded is None else loaded.tasks
    report = calibrate(wanted.dirs, tasks, fit=cast(Fit, wanted.fit), risk=wanted.risk)
    report.calibrator.save(wanted.out)
    print(json.dumps(as_fields(wanted, report), ensure_ascii=False) if as_json else in_words(wanted, report))
    return WRONG_REQUEST if loaded and loaded.problems else 0


def as_fields(wanted: Wanted, report: CalibrationReport) -> dict[str, Any]:
    """The object that `--json` prints."""
    return {
        "out": str(wanted.out),
        "runs": report.runs,
        "curves": [asdict(part) | {"curve": part.curve.model_dump(exclude={"raw", "share"})} for part in report.parts],
        "dropped": dict(report.dropped),
        "too_few": [
            {"model": model, "method": method, "stage": stage, "n": n}
            for (model, method, stage), n in report.few.items()
        ],
    }


def in_words(wanted: Wanted, report: CalibrationReport) -> str:
    """Each curve's figures and reliability table, what was left out, and what to do with the file."""
    lines = [line for part in report.parts for line in _part(part, wanted.risk)]
    if report.dropped:
        reasons = ", ".join(f"{number} {reason}" for reason, number in report.dropped.most_common())
        lines.append(f"left out: {reasons}")
    lines += [f"too few: {n} of {_named(*kind)}" for kind, n in report.few.items()]
    ask = f"maieutic ask QUESTION --set calibration={wanted.out}{_abstain(report)}"
    lines += [f"curves:  {wanted.out}", f"next:    {ask}"]
    return "\n".join(lines)


def _part(part: Calibrated, risk: float) -> list[str]:
    curve = part.curve
    lines = [
        f"{_named(curve.model, curve.method, curve.stage)}: n = {curve.n:,} answers to {part.tasks:,} tasks, "
        f"right {part.right.percent()}",
        f"  missing     {part.missing:,}, of them not readable {part.unread:,}",
        f"  ECE         raw {part.before.percent()}"
        + (f", calibrated ({curve.fit}, held out) {part.after.percent()}" if part.after else ""),
        f"  AUROC       {'not defined' if part.separation is None else f'{part.separation:.3f}'}",
    ]
    if curve.fit == "constant":
        lines.append("  always as sure: these confidences say nothing, and are taken as missing")
    if part.abstaining:
        found = part.abstaining
        lines.append(
            f"  at most {risk:.0%} wrong: abstain below {found.threshold:.3g}; answers {found.answered.percent()}, "
            f"wrong {found.errors.percent()}"
        )
    lines.append("  sure         in the mean  right")
    lines += [
        f"  {bin_.low:.1f} to {bin_.high:.1f}   {bin_.sure:11.3f}  {bin_.right.percent()}, n = {bin_.right.n:,}"
        for bin_ in part.bins
    ]
    return lines


def _named(model: str, method: str, stage: str) -> str:
    return ", ".join(part for part in (model, method, stage) if part)


def _abstain(report: CalibrationReport) -> str:
    found = [part.abstaining.threshold for part in report.parts if part.abstaining]
    return f" --set abstain_below={found[0]:.3g}" if len(found) == 1 else ""
