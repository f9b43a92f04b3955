"""A calibrator on disk and as a function: what it gives back, and what it refuses."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from maieutic.calibration.calibrator import Calibrator, Curve
from maieutic.errors import ConfigError, UserError


def curve(raw: tuple[float, ...], share: tuple[float, ...], method: str = "verbal") -> Curve:
    fields = {"model": "m", "method": method, "fit": "isotonic", "raw": raw, "share": share, "n": 4, "right": 2}
    return Curve.model_validate(fields)


@pytest.mark.parametrize(("raw", "share"), [(0.0, 0.2), (0.5, 0.2), (0.6, 0.3), (0.75, 0.45), (0.9, 0.6), (1.0, 0.6)])
def test_between_knots_it_is_a_line_and_beyond_them_flat(raw: float, share: float) -> None:
    assert curve((0.5, 0.7, 0.9), (0.2, 0.4, 0.6))(raw) == pytest.approx(share)


def test_without_knots_it_says_nothing() -> None:
    assert curve((), ())(0.7) is None


@pytest.mark.parametrize(
    ("raw", "share"), [((0.5, 0.4), (0.1, 0.2)), ((0.4, 0.5), (0.2, 0.1)), ((0.5,), (1.2,)), ((0.5,), (0.1, 0.2))]
)
def test_a_line_that_falls_or_leaves_the_scale_is_refused(raw: tuple[float, ...], share: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match="rising line"):
        curve(raw, share)


def test_a_stage_has_its_own_curve_before_one_of_any() -> None:
    own, any_ = curve((0.5,), (0.2,)).model_copy(update={"stage": "greedy"}), curve((0.5,), (0.9,))
    made = Calibrator(curves=(any_, own))
    assert made.curve("m", "verbal", "greedy") == own
    assert made.curve("m", "verbal") == made.curve("m", "verbal", "tool") == any_
    assert Calibrator(curves=(own,)).curve("m", "verbal", "tool") is None


def test_it_comes_back_from_its_file(tmp_path: Path) -> None:
    made = Calibrator(curves=(curve((0.5,), (0.2,)), curve((), (), "agreement")), made={"runs": 3})
    made.save(tmp_path / "c.json")
    assert Calibrator.load(tmp_path / "c.json") == made
    assert made.curve("m", "verbal") == made.curves[0]
    assert made.curve("m", "p_true") is None and made.curve("other", "verbal") is None


@pytest.mark.parametrize("text", ["", "{}", json.dumps({"format": 2, "curves": []})])
def test_another_file_is_told_in_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ConfigError, match=r"c\.json is no calibration of this version .*maieutic calibrate"):
        Calibrator.load(tmp_path / "c.json")


def test_a_file_that_is_not_there_and_a_place_that_can_not_be_written_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        Calibrator.load(tmp_path / "none.json")
    with pytest.raises(UserError, match="can't be written to"):
        Calibrator(curves=()).save(tmp_path / "none" / "c.json")
