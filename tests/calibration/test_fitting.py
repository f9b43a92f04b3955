"""Curves: isotonic regression and Platt's, against worked examples and what every curve has to keep."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maieutic.calibration.fitting import Fit, fit_curve, isotonic, platt

SEEN = st.lists(st.tuples(st.integers(0, 20).map(lambda i: i / 20), st.booleans()), min_size=20, max_size=60)


def test_neighbours_that_fall_are_pooled() -> None:
    """Shares by value 1/2, 0/1, 1/1: the first two are pooled to 1/3."""
    knots = isotonic([0.2, 0.2, 0.4, 0.9], [True, False, False, True])
    assert knots == [(0.2, pytest.approx(1 / 3)), (0.4, pytest.approx(1 / 3)), (0.9, 1.0)]


def test_confidences_that_mean_the_contrary_say_nothing() -> None:
    raw, right = [0.1] * 50 + [0.9] * 50, [True] * 40 + [False] * 10 + [True] * 10 + [False] * 40
    for fit in ("isotonic", "platt"):
        curve = fit_curve("m", "verbal", raw, right, fit)
        assert curve(0.1) == curve(0.9) == pytest.approx(0.5, abs=0.01)


@given(SEEN, st.sampled_from(["isotonic", "platt"]))
def test_a_curve_rises_and_stays_between_zero_and_one(seen: list[tuple[float, bool]], fit: Fit) -> None:
    curve = fit_curve("m", "verbal", [raw for raw, _ in seen], [right for _, right in seen], fit)
    values = [curve(i / 50) for i in range(51)]
    if curve.fit == "constant":
        assert set(values) == {None}
    else:
        kept = [value for value in values if value is not None]
        assert len(kept) == 51 and kept == sorted(kept) and 0 <= kept[0] <= kept[-1] <= 1


@pytest.mark.parametrize("fit", ["isotonic", "platt"])
def test_overconfidence_is_taken_back(fit: Fit) -> None:
    """A model that says 0.95 and is right 60 times of 100, and says 0.6 and is right 30 times."""
    raw = [0.95] * 100 + [0.6] * 100
    right = [i < 60 for i in range(100)] + [i < 30 for i in range(100)]
    curve = fit_curve("m", "verbal", raw, right, fit)
    assert curve(0.95) == pytest.approx(0.6, abs=0.02)
    assert curve(0.6) == pytest.approx(0.3, abs=0.02)


def test_platt_finds_the_curve_that_made_the_data() -> None:
    """Right with the probability that its odds, halved, say."""
    rng, raw = random.Random(3), [i / 400 for i in range(40, 360)] * 10
    odds = [value / (1 - value) for value in raw]
    right = [rng.random() < o**0.5 / (1 + o**0.5) for o in odds]
    knots = dict(platt(raw, right))
    assert knots[0.5] == pytest.approx(0.5, abs=0.03)
    assert knots[0.8] == pytest.approx(2 / 3, abs=0.03)


def test_a_perfect_split_has_an_end() -> None:
    knots = dict(platt([0.2] * 30 + [0.8] * 30, [False] * 30 + [True] * 30))
    assert 0 < knots[0.2] < 0.1 and 0.9 < knots[0.8] < 1


def test_measured_confidences_may_lie_close_together() -> None:
    """Geometric means over many tokens, all near 1, that tell right from wrong nevertheless."""
    raw, right = [0.98, 0.995] * 50, [i % 10 < 2 if i % 2 == 0 else i % 10 < 9 for i in range(100)]
    assert fit_curve("m", "verbal", raw, right).fit == "constant"
    for fit in ("platt", "isotonic"):
        curve = fit_curve("m", "mean_logprob", raw, right, fit, "greedy")
        assert curve.stage == "greedy"
        assert (curve(0.98), curve(0.995)) == (pytest.approx(0.2, abs=0.04), pytest.approx(0.8, abs=0.04))


def test_always_as_sure_is_no_curve() -> None:
    curve = fit_curve("m", "verbal", [0.95] * 99 + [0.96], [True, False] * 50)
    assert (curve.fit, curve(0.95), curve.n, curve.right) == ("constant", None, 100, 50)


@pytest.mark.parametrize(("n", "kind"), [(199, "platt"), (200, "isotonic")])
def test_few_answers_get_the_stiffer_curve(n: int, kind: str) -> None:
    raw = [(i % 10) / 10 for i in range(n)]
    assert fit_curve("m", "verbal", raw, [i % 3 > 0 for i in range(n)]).fit == kind
