"""`maieutic calibrate`: from recorded confidences to curves and a report, or a sentence about what is lacking."""

import json
from pathlib import Path

import pytest

from maieutic.calibration.calibrator import Calibrator
from maieutic.trace.record import RunHeader
from maieutic.trace.writer import TraceStore
from maieutic.types import Outcome
from tests.cli.conftest import Command


def record(root: Path, n: int, *, model: str = "m", constant: bool = False) -> Path:
    """`n` runs: sure by 0.9 and right in 60 of 100, or sure by 0.5 and right in 20; every tenth says nothing."""
    with TraceStore(root) as store:
        for i in range(n):
            high = i % 2 == 0
            right = (i // 2) % 5 < (3 if high else 1)
            raw = None if i % 10 == 9 else 0.9 if high or constant else 0.5
            run = store.open_run(RunHeader(f"{model}{i}", f"t{i}", models=(model,)))
            fields = {"method": "verbal", "raw": raw, "calibrated": None, "model": model, "answer": "7"}
            run.write("confidence", of="c1", read=raw is not None, **fields)
            outcome = Outcome.CORRECT if right else Outcome.WRONG
            run.finish(answer="7", answer_call="c1", outcome=outcome, score=float(right))
    return root


def test_curves_come_of_runs(maieutic: Command, tmp_path: Path) -> None:
    out = tmp_path / "c.json"
    ended = maieutic("calibrate", str(record(tmp_path / "traces", 400)), "--out", str(out), "--json", "--risk", "0.45")
    assert ended.code == 0
    report = json.loads(ended.out)
    (part,) = report["curves"]
    assert (report["runs"], part["tasks"], part["missing"], part["unread"]) == (400, 360, 40, 40)
    curve = Calibrator.load(out).curve("m", "verbal")
    assert curve is not None and (curve.fit, curve.n) == ("isotonic", 360)
    assert curve(0.9) == pytest.approx(0.6)
    assert curve(0.5) == pytest.approx((part["curve"]["right"] - 120) / 160)
    assert part["before"]["estimate"] > 0.25 and part["after"]["estimate"] < 0.06
    assert part["abstaining"]["threshold"] == pytest.approx(0.6, abs=0.05)


def test_the_report_says_what_to_do_next(maieutic: Command, tmp_path: Path) -> None:
    out, root = tmp_path / "c.json", record(tmp_path / "traces", 400)
    printed = maieutic("calibrate", str(root), "--out", str(out), "--risk", "0.45").out
    assert "m, verbal: n = 360 answers to 360 tasks, right " in printed
    assert f"--set calibration={out} --set abstain_below=0.6\n" in f"{printed}\n"
    assert "0.5 to 0.6" in printed and "0.2 to 0.3" in printed


def test_a_model_that_is_always_as_sure_is_told(maieutic: Command, tmp_path: Path) -> None:
    out = tmp_path / "c.json"
    ended = maieutic("calibrate", str(record(tmp_path / "t", 100, constant=True)), "--out", str(out))
    assert ended.code == 0 and "say nothing" in ended.out
    assert Calibrator.load(out).curves[0].fit == "constant"


def test_of_two_models_the_one_with_too_little_is_named(maieutic: Command, tmp_path: Path) -> None:
    roots = [str(record(tmp_path / "a", 40)), str(record(tmp_path / "b", 20, model="n"))]
    ended = maieutic("calibrate", *roots, "--out", str(tmp_path / "c.json"))
    assert ended.code == 0 and "too few: 18 of n, verbal" in ended.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--fit", "spline"], "no fit named 'spline'"),
        (["--risk", "1"], "A risk of 1 is not possible"),
        ([], "18 confidences of one model and kind at most, and it takes 20"),
        (["--tasks", "none.jsonl"], "none.jsonl"),
    ],
)
def test_what_can_not_be_done_is_a_sentence(
    arguments: list[str], sentence: str, maieutic: Command, tmp_path: Path
) -> None:
    out = tmp_path / "c.json"
    ended = maieutic("calibrate", str(record(tmp_path / "t", 20)), "--out", str(out), *arguments)
    assert (ended.code, ended.out, out.exists()) == (2, "", False)
    assert sentence in ended.err


def test_runs_without_confidences_are_a_sentence(maieutic: Command, tmp_path: Path) -> None:
    with TraceStore(tmp_path / "t") as store:
        store.open_run(RunHeader("r", "t")).finish(outcome=Outcome.CORRECT, score=1.0)
    ended = maieutic("calibrate", str(tmp_path / "t"), "--out", str(tmp_path / "c.json"))
    assert ended.code == 2 and "There are no confidences in these runs" in ended.err
