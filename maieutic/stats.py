"""Intervals and comparisons behind every figure: no share without its n, no difference without a test."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

RESAMPLES = 10_000
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval. `n` is how many observations it rests on."""

    estimate: float
    low: float
    high: float
    n: int

    def percent(self) -> str:
        """As "62.5 % [59.1, 65.8]"."""
        return f"{100 * self.estimate:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Two methods on the same `n` questions, each right or wrong.

    `only_first` and `only_second` are the questions that just one of them got right. `difference` is the second's
    accuracy less the first's, with a bootstrap interval over questions; `p_value` is McNemar's exact test, two-sided.
    """

    n: int
    only_first: int
    only_second: int
    difference: Interval
    p_value: float


def wilson(successes: float, n: float, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a share. ValueError unless 0 <= successes <= n and n > 0."""
    if not 0 <= successes <= n or n <= 0:
        raise ValueError(f"{successes} of {n} is not a share")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)), round(n))


def clustered(successes: Sequence[int], sizes: Sequence[int], confidence: float = 0.95) -> Interval:
    """The interval of a share over clusters, such as several samples for each of many questions.

    Samples of one question resemble each other, so that they count for less than as many questions: Wilson's interval
    at the effective number of observations, which lies between the number of clusters and that of observations.
    `n` is the number of observations. ValueError for sequences of different lengths or without observations.
    """
    pairs = [(s, n) for s, n in zip(successes, sizes, strict=True) if n]
    total = sum(n for _, n in pairs)
    right = sum(s for s, _ in pairs)
    if total == len(pairs):
        return wilson(right, total, confidence)
    share, clusters = right / total, len(pairs)
    effective = float(clusters)
    spread = sum((s - share * n) ** 2 for s, n in pairs)
    if clusters > 1 and spread:
        variance = clusters / (clusters - 1) * spread / total**2
        effective = min(float(total), max(float(clusters), share * (1 - share) / variance))
    around = wilson(share * effective, effective, confidence)
    return Interval(share, around.low, around.high, total)


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact p-value, two-sided, from the discordant pairs; 1 where there are none."""
    n, fewer = only_first + only_second, min(only_first, only_second)
    term, tail = 1, 1
    for i in range(fewer):
        term = term * (n - i) // (i + 1)
        tail += term
    return min(1.0, float(2 * tail / 2**n))


def paired_bootstrap(
    first: Sequence[float],
    second: Sequence[float],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The mean of `second - first` with a percentile bootstrap interval over pairs. ValueError without pairs."""
    import numpy as np

    differences = [b - a for a, b in zip(first, second, strict=True)]
    if not differences:
        raise ValueError("there is nothing to compare")
    # A resample is only counts of each distinct difference, and there are few of those.
    values, counts = np.unique(np.asarray(differences, dtype=float), return_counts=True)
    n = len(differences)
    rng = np.random.default_rng(seed)
    sizes = [min(_CHUNK, resamples - done) for done in range(0, resamples, _CHUNK)]
    means = np.concatenate([rng.multinomial(n, counts / n, size=size) @ values / n for size in sizes])
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(np.mean(differences)), float(low), float(high), n)


def compare_paired(first: Sequence[bool], second: Sequence[bool], *, seed: int = 0) -> PairedComparison:
    """Compare two methods question by question; the n-th of each must be about the same question."""
    pairs = list(zip(first, second, strict=True))
    only_first = sum(a and not b for a, b in pairs)
    only_second = sum(b and not a for a, b in pairs)
    difference = paired_bootstrap([float(a) for a in first], [float(b) for b in second], seed=seed)
    return PairedComparison(len(pairs), only_first, only_second, difference, mcnemar(only_first, only_second))
