"""How good confidences are: calibration error, separation of right from wrong, and what is left where one abstains.

Expected calibration error over equal-width bins (Guo et al. 2017, arXiv 1706.04599). It is never below zero and so a
little too high for few answers, and so is its interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

from maieutic.stats import Interval, paired_bootstrap, wilson

BINS = 10
RESAMPLES = 2_000
_CHUNK = 250


@dataclass(frozen=True, slots=True)
class Bin:
    """The answers whose confidence lies from `low` on below `high`: how sure in the mean, and how often right."""

    low: float
    high: float
    sure: float
    right: Interval


@dataclass(frozen=True, slots=True)
class Operating:
    """What comes of abstaining below `threshold`: the `answered` share of questions, and the `errors` among them."""

    threshold: float
    answered: Interval
    errors: Interval


def bin_of(value: float, bins: int = BINS) -> int:
    return min(int(value * bins), bins - 1)


def reliability(sure: Sequence[float], right: Sequence[bool], bins: int = BINS) -> list[Bin]:
    """The bins that hold an answer, from the least sure to the surest."""
    found = []
    for number in range(bins):
        inside = [(s, r) for s, r in zip(sure, right, strict=True) if bin_of(s, bins) == number]
        if inside:
            mean = sum(s for s, _ in inside) / len(inside)
            hits = sum(r for _, r in inside)
            found.append(Bin(number / bins, (number + 1) / bins, mean, wilson(hits, len(inside))))
    return found


def calibration_error(
    sure: Sequence[float], right: Sequence[bool], tasks: Sequence[str], *, bins: int = BINS, seed: int = 0
) -> Interval:
    """Expected calibration error, with a percentile bootstrap interval over tasks. ValueError without answers."""
    import numpy as np

    places = {task: i for i, task in enumerate(dict.fromkeys(tasks))}
    gaps, sizes = np.zeros((len(places), bins)), np.zeros(len(places))
    for s, r, task in zip(sure, right, tasks, strict=True):
        gaps[places[task], bin_of(s, bins)] += s - r
        sizes[places[task]] += 1
    if not len(places):
        raise ValueError("there is nothing to measure")
    rng, n = np.random.default_rng(seed), len(places)
    errors = []
    for done in range(0, RESAMPLES, _CHUNK):
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=min(_CHUNK, RESAMPLES - done))
        errors.append(np.abs(drawn @ gaps).sum(axis=1) / (drawn @ sizes))
    low, high = np.quantile(np.concatenate(errors), [0.025, 0.975])
    return Interval(float(np.abs(gaps.sum(axis=0)).sum() / sizes.sum()), float(low), float(high), len(sure))


def brier(sure: Sequence[float], right: Sequence[bool]) -> Interval:
    """The mean squared distance of confidences from what came of them (Brier 1950), with a bootstrap interval over
    answers: 0 is best, and 0.25 comes of always saying one half. ValueError without answers."""
    return paired_bootstrap([0.0] * len(sure), [(s - r) ** 2 for s, r in zip(sure, right, strict=True)])


def covered(sure: Sequence[float], right: Sequence[bool], coverage: float) -> Interval:
    """The risk at a coverage: how often the surest `coverage` of the answers are wrong. Of those that are as sure as
    each other, of which only some are taken, it is the mean. ValueError where that is no answer."""
    taken = round(coverage * len(sure))
    if not taken:
        raise ValueError("there is nothing to measure")
    last = sorted(sure, reverse=True)[taken - 1]
    within = [not hit for value, hit in zip(sure, right, strict=True) if value > last]
    alike = [not hit for value, hit in zip(sure, right, strict=True) if value == last]
    return wilson(sum(within) + (taken - len(within)) * sum(alike) / len(alike), taken)


def separation(sure: Sequence[float], right: Sequence[bool]) -> float | None:
    """How often a right answer is the surer one of a right and a wrong one (AUROC); None where one kind is missing."""
    order = sorted(zip(sure, right, strict=True))
    hits, ranks, at = sum(right), 0.0, 0
    misses = len(order) - hits
    if not hits or not misses:
        return None
    while at < len(order):
        end = at
        while end < len(order) and order[end][0] == order[at][0]:
            end += 1
        ranks += sum(r for _, r in order[at:end]) * (at + 1 + end) / 2
        at = end
    return (ranks - hits * (hits + 1) / 2) / (hits * misses)


def at_risk(sure: Sequence[float], right: Sequence[bool], risk: float) -> Operating | None:
    """The smallest threshold at which no more than `risk` of the answers given are wrong; None where none does it.

    It is rounded down to three digits, so that it can be written by hand and shuts out no answer that it let in.
    """
    order = sorted(zip(sure, right, strict=True), reverse=True)
    found, wrong = None, 0
    for given, (value, hit) in enumerate(order, 1):
        wrong += not hit
        last = given == len(order) or order[given][0] != value
        if last and wrong <= risk * given:
            found = Operating(floor(value * 1000) / 1000, wilson(given, len(order)), wilson(wrong, given))
    return found
