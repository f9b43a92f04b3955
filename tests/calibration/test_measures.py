"""Calibration error, separation and thresholds, against worked examples."""

import random

import pytest

from maieutic.calibration.measures import at_risk, bin_of, brier, calibration_error, covered, reliability, separation


def test_the_error_is_the_mean_gap_between_sureness_and_rightness() -> None:
    sure = [0.95] * 10 + [0.55] * 10
    right = [True] * 5 + [False] * 5 + [True] * 6 + [False] * 4
    error = calibration_error(sure, right, [str(i) for i in range(20)])
    assert error.estimate == pytest.approx((0.45 + 0.05) / 2)
    assert error.low < error.estimate < error.high and error.n == 20


def test_the_interval_goes_by_tasks_and_not_by_samples() -> None:
    """Ten samples of each of twenty tasks that are right or wrong together are twenty observations."""
    rng = random.Random(1)
    by_task = [rng.random() < 0.5 for _ in range(20)]
    sure, right = [0.85] * 200, [hit for hit in by_task for _ in range(10)]
    together = calibration_error(sure, right, [str(i // 10) for i in range(200)])
    apart = calibration_error(sure, right, [str(i) for i in range(200)])
    assert together.estimate == pytest.approx(apart.estimate)
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_the_surest_bin_holds_certainty() -> None:
    assert [bin_of(value) for value in (0.0, 0.0999, 0.1, 0.95, 1.0)] == [0, 0, 1, 9, 9]
    table = reliability([1.0, 0.95, 0.05], [True, False, False])
    assert [(b.low, b.right.n, b.right.estimate) for b in table] == [(0.0, 1, 0.0), (0.9, 2, 0.5)]


@pytest.mark.parametrize(
    ("sure", "right", "area"),
    [
        ([0.1, 0.9], [False, True], 1.0),
        ([0.9, 0.1], [False, True], 0.0),
        ([0.5, 0.5], [False, True], 0.5),
        ([0.1, 0.4, 0.35, 0.8], [False, False, True, True], 0.75),
        ([0.3, 0.6], [True, True], None),
    ],
)
def test_separation_counts_pairs(sure: list[float], right: list[bool], area: float | None) -> None:
    assert separation(sure, right) == area


def test_the_brier_score_is_the_mean_squared_distance() -> None:
    found = brier([0.9, 0.6, 0.2], [True, False, False])
    assert found.estimate == pytest.approx((0.01 + 0.36 + 0.04) / 3)
    assert found.low < found.estimate < found.high and found.n == 3


@pytest.mark.parametrize(
    ("coverage", "wrong", "n"),
    [(1.0, 3 / 6, 6), (0.5, 1 / 3, 3), (2 / 6, 0.5 / 2, 2), (1 / 6, 0.0, 1)],
)
def test_the_risk_at_a_coverage_is_that_of_the_surest(coverage: float, wrong: float, n: int) -> None:
    """The second and the third are as sure as each other, and one of them is wrong."""
    found = covered([0.5, 0.9, 0.7, 0.7, 0.4, 0.3], [False, True, True, False, True, False], coverage)
    assert (found.estimate, found.n) == (pytest.approx(wrong), n)


def test_the_smallest_threshold_that_keeps_the_risk_is_found() -> None:
    sure = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    right = [True, True, False, True, True, False]
    found = at_risk(sure, right, 0.2)
    assert found is not None
    assert (found.threshold, found.answered.estimate, found.errors.estimate) == (0.5, pytest.approx(5 / 6), 0.2)
    none = at_risk(sure, right, 0.0)
    assert none is not None and none.threshold == 0.8


def test_a_threshold_never_splits_the_equally_sure() -> None:
    """The first of the three ties alone would keep the risk; all of them do not."""
    assert at_risk([0.9, 0.9, 0.9], [True, False, False], 0.5) is None
