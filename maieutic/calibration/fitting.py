"""Fitting a curve from confidences to shares of right answers: isotonic regression, or Platt's logistic curve.

Isotonic regression by pooling adjacent violators (Zadrozny and Elkan 2002, "Transforming Classifier Scores into
Accurate Multiclass Probability Estimates"); Platt 1999, "Probabilistic Outputs for Support Vector Machines", here on
the log-odds of the confidence, with his smoothed targets.
"""

from collections.abc import Collection, Sequence
from math import exp, log
from statistics import pstdev
from typing import Literal

from maieutic.calibration.calibrator import Curve, Method

Fit = Literal["auto", "isotonic", "platt"]
ENOUGH = 200  # answers from which on `auto` trusts isotonic regression
FLAT = 0.02  # standard deviation below which confidences say nothing
_FINE: Collection[Method] = ("min_logprob", "mean_logprob")  # measured, not stated: all of them may lie close together
_FINE_FLAT = 0.001
_EDGE, _FINE_EDGE = 0.01, 0.0001  # how near to 0 and 1 a confidence is told from them, on the log-odds
_KNOTS = 50
_STEPS = 50


def fit_curve(
    model: str, method: Method, raw: Sequence[float], right: Sequence[bool], fit: Fit = "auto", stage: str = ""
) -> Curve:
    """The curve of one model, method and stage; one without knots where all confidences are nearly the same."""
    n, hits, fine = len(raw), sum(right), method in _FINE
    if pstdev(raw) < (_FINE_FLAT if fine else FLAT):
        return Curve(model=model, method=method, fit="constant", raw=(), share=(), n=n, right=hits, stage=stage)
    kind: Literal["isotonic", "platt"] = ("isotonic" if n >= ENOUGH else "platt") if fit == "auto" else fit
    knots = isotonic(raw, right) if kind == "isotonic" else platt(raw, right, _FINE_EDGE if fine else _EDGE)
    xs, ys = (tuple(round(knot[i], 6) for knot in knots) for i in (0, 1))
    return Curve(model=model, method=method, fit=kind, raw=xs, share=ys, n=n, right=hits, stage=stage)


def isotonic(raw: Sequence[float], right: Sequence[bool]) -> list[tuple[float, float]]:
    """The rising steps nearest to what was seen (least squares), as knots at both ends of every step."""
    groups: dict[float, list[int]] = {}
    for value, hit in zip(raw, right, strict=True):
        seen = groups.setdefault(value, [0, 0])
        seen[0] += hit
        seen[1] += 1
    steps: list[tuple[float, float, int, int]] = []  # from, to, right, seen
    for value in sorted(groups):
        step = (value, value, groups[value][0], groups[value][1])
        while steps and steps[-1][2] * step[3] >= step[2] * steps[-1][3]:
            before = steps.pop()
            step = (before[0], step[1], before[2] + step[2], before[3] + step[3])
        steps.append(step)
    return [(x, hits / seen) for low, high, hits, seen in steps for x in dict.fromkeys((low, high))]


def platt(raw: Sequence[float], right: Sequence[bool], edge: float = _EDGE) -> list[tuple[float, float]]:
    """A logistic curve in the log-odds, as knots at equal distances and where answers were seen; flat where more
    sureness would mean less."""
    slope, offset = _logistic([_odds(value, edge) for value in raw], right)
    if slope <= 0:
        slope, offset = 0.0, _odds((sum(right) + 1) / (len(right) + 2), edge)
    values = sorted({i / _KNOTS for i in range(_KNOTS + 1)} | {round(value, 6) for value in raw})
    return [(value, _share(slope * _odds(value, edge) + offset)) for value in values]


def _logistic(odds: Sequence[float], right: Sequence[bool]) -> tuple[float, float]:
    """Slope and offset by Newton's method, with a little shrinkage of the slope, so that a perfect split has an end."""
    hits = sum(right)
    high, low = (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2)
    targets = [high if hit else low for hit in right]
    slope, offset = 1.0, 0.0
    for _ in range(_STEPS):
        g0 = g1 = h00 = h01 = h11 = 0.0
        for x, target in zip(odds, targets, strict=True):
            share = _share(slope * x + offset)
            weight = share * (1 - share)
            g0, g1 = g0 + share - target, g1 + (share - target) * x
            h00, h01, h11 = h00 + weight, h01 + weight * x, h11 + weight * x * x
        g1, h11, h00 = g1 + 0.01 * slope, h11 + 0.01, h00 + 1e-9
        det = h00 * h11 - h01 * h01
        down, across = (h00 * g1 - h01 * g0) / det, (h11 * g0 - h01 * g1) / det
        size = max(1.0, abs(down), abs(across))  # no step is longer than 1, so that it can't leap away
        slope, offset = slope - down / size, offset - across / size
        if max(abs(down), abs(across)) < 1e-7:
            break
    return slope, offset


def _odds(share: float, edge: float) -> float:
    share = min(max(share, edge), 1 - edge)
    return log(share / (1 - share))


def _share(odds: float) -> float:
    return 1 / (1 + exp(-min(max(odds, -30.0), 30.0)))
