"""How far a model's confidences can be trusted, raw and calibrated: ECE, Brier score, AUROC, risk and coverage.

    python benchmarks/calibration.py [--n 300] [--dev 100] [--seed 41] [--model in-box] [--out DIR] [--results FILE]

Curves are fitted on the dev split and measured on the test split. `--model in-box@FOLDER` measures other weights, and
`--results` keeps their table beside that of the first. A second start with the same `--out` goes on where the first was
stopped, and takes over what `routing.py` has run there with the same numbers.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from levels import SAID, questions
from staged import Answers, stage

from maieutic.calibration.calibrator import Curve, Method
from maieutic.calibration.fitting import fit_curve
from maieutic.calibration.measures import Operating, at_risk, brier, calibration_error, covered, separation
from maieutic.stats import Interval, wilson

RESULTS = Path(__file__).parent / "results" / "calibration.md"
SOURCES: tuple[tuple[str, Method], ...] = (
    ("greedy", "min_logprob"),
    ("greedy", "mean_logprob"),
    ("greedy, asked", "p_true"),
    ("greedy, verified", "cot_p_true"),
    ("vote of 5", "agreement"),
)
COVERAGES = (1.0, 0.8, 0.6, 0.4)
RISK = 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """The answers of one source on one split that have a confidence; `missing` have none."""

    tasks: list[str]
    sure: list[float]
    right: list[bool]
    missing: int


@dataclass(frozen=True, slots=True)
class Row:
    """One source on the test split. `abstaining` is what comes there of the threshold that keeps to the risk on dev;
    `risks` are the shares of wrong answers among the surest, by coverage."""

    source: str
    method: str
    fit: str
    n: int
    missing: int
    right: Interval
    ece: tuple[Interval, Interval | None]
    brier: tuple[Interval, Interval | None]
    auroc: float | None
    risks: list[Interval]
    threshold: float | None
    abstaining: Operating | None


def sample(answers: Answers, method: Method) -> Sample:
    known = {task: value for task, seen in answers.items() if (value := seen.sure.get(method)) is not None}
    return Sample(list(known), list(known.values()), [answers[task].right for task in known], len(answers) - len(known))


def calibrated(curve: Curve, raw: Sequence[float]) -> list[float] | None:
    """None where the curve says nothing."""
    values = [value for one in raw if (value := curve(one)) is not None]
    return values if len(values) == len(raw) else None


def row(source: str, method: Method, dev: Sample, test: Sample) -> Row:
    curve = fit_curve("model", method, dev.sure, dev.right)
    after, learnt = calibrated(curve, test.sure), calibrated(curve, dev.sure)
    chosen = at_risk(learnt, dev.right, RISK) if learnt else None
    return Row(
        source,
        method,
        curve.fit,
        len(test.sure),
        test.missing,
        wilson(sum(test.right), len(test.right)),
        (
            calibration_error(test.sure, test.right, test.tasks),
            calibration_error(after, test.right, test.tasks) if after else None,
        ),
        (brier(test.sure, test.right), brier(after, test.right) if after else None),
        separation(test.sure, test.right),
        [covered(test.sure, test.right, share) for share in COVERAGES],
        chosen.threshold if chosen else None,
        _at(after, test.right, chosen.threshold) if after and chosen else None,
    )


def _at(sure: Sequence[float], right: Sequence[bool], threshold: float) -> Operating | None:
    given = [hit for value, hit in zip(sure, right, strict=True) if value >= threshold]
    if not given:
        return None
    return Operating(threshold, wilson(len(given), len(sure)), wilson(len(given) - sum(given), len(given)))


async def measure(asked: argparse.Namespace, out: Path) -> tuple[list[Row], list[str]]:
    """Every source on both splits, and a sentence for each that says too little."""
    found: dict[tuple[str, str], Answers] = {}
    for split, n in (("dev", asked.dev), ("test", asked.n)):
        tasks = questions(split, n, asked.seed)
        for name in dict.fromkeys(source for source, _ in SOURCES):
            found[split, name] = await stage(name, split, tasks, out, asked.model, asked.seed)
    return _rows(found)


def _rows(found: Mapping[tuple[str, str], Answers]) -> tuple[list[Row], list[str]]:
    rows, silent = [], []
    for source, method in SOURCES:
        dev, test = sample(found["dev", source], method), sample(found["test", source], method)
        if min(len(dev.sure), len(test.sure)) > 1:
            rows.append(row(source, method, dev, test))
        else:
            of = f"{len(test.sure):,} of {len(test.sure) + test.missing:,} answers of the test split have one"
            silent.append(f"{source}, {method}: nothing can be said of this confidence, {of}.")
    return rows, silent


def as_text(command: str, rows: Sequence[Row], silent: Sequence[str], n: int) -> str:
    parts = [
        "# Calibration",
        f"`{command}`",
        f"Questions: {SAID}; as many of each. Curves are fitted on {n} questions of the dev split; the rest is of the "
        "test split. ECE over ten bins; ECE and Brier score with 95 % bootstrap intervals over questions, shares with "
        "95 % Wilson intervals. AUROC is how often a right answer is the surer one of a right and a wrong one.",
        "\n".join(_quality(rows)),
        *silent,
        "## Risk and coverage",
        "How often wrong, where only the surest answers are given: all of them, and those shares of them.",
        "\n".join(_risks(rows)),
        "## Abstention",
        f"The threshold, on the calibrated scale, was chosen on dev as the smallest at which at most {100 * RISK:.0f}"
        " % of the answers given are wrong; what it comes to on test.",
        "\n".join(_abstentions(rows)),
    ]
    return "\n\n".join(parts) + "\n"


def _quality(rows: Sequence[Row]) -> list[str]:
    head = ("answers", "confidence", "n", "missing", "right", "ECE raw", "ECE calibrated", "Brier raw", "calibrated")
    lines = [f"| {' | '.join(head)} | AUROC |", f"|{'---|' * (len(head) + 1)}"]
    for r in rows:
        auroc = "-" if r.auroc is None else f"{r.auroc:.3f}"
        cells = [r.source, r.method, f"{r.n:,}", str(r.missing), r.right.percent()]
        cells += [r.ece[0].percent(), _or_none(r.ece[1]), _plain(r.brier[0]), _plain(r.brier[1]), auroc]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _risks(rows: Sequence[Row]) -> list[str]:
    lines = [f"| answers | confidence | {' | '.join(f'{100 * share:.0f} %' for share in COVERAGES)} |"]
    lines.append(f"|---|---|{'---|' * len(COVERAGES)}")
    lines += [f"| {r.source} | {r.method} | {' | '.join(risk.percent() for risk in r.risks)} |" for r in rows]
    return lines


def _abstentions(rows: Sequence[Row]) -> list[str]:
    lines = ["| answers | confidence | threshold | answered | of them wrong |", "|---|---|---|---|---|"]
    for r in rows:
        threshold = "none" if r.threshold is None else f"{r.threshold:.3f}"
        came = [r.abstaining.answered.percent(), r.abstaining.errors.percent()] if r.abstaining else ["-", "-"]
        lines.append(f"| {r.source} | {r.method} | {' | '.join([threshold, *came])} |")
    return lines


def _or_none(interval: Interval | None) -> str:
    return "says nothing" if interval is None else interval.percent()


def _plain(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval.estimate:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def main() -> None:
    """Run, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=300, help="questions of each kind of the test split")
    parser.add_argument("--dev", type=int, default=100, help="questions of each kind of the dev split")
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--model", default="in-box", help="a model, or other weights as in-box@FOLDER")
    parser.add_argument("--out", type=Path, help="keep the runs here")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file that the tables are written to")
    asked = parser.parse_args()
    command = (
        f"python benchmarks/calibration.py --n {asked.n} --dev {asked.dev} --seed {asked.seed} --model {asked.model}"
    )
    with tempfile.TemporaryDirectory() as directory:
        rows, silent = asyncio.run(measure(asked, asked.out or Path(directory)))
    text = as_text(command, rows, silent, 4 * asked.dev)
    asked.results.write_text(text)
    asked.results.with_suffix(".json").write_text(
        json.dumps({"command": command, "rows": [asdict(r) for r in rows], "silent": silent}, indent=1) + "\n"
    )
    print(text)


if __name__ == "__main__":
    main()
