import random

import pytest

from maieutic.stats import clustered, compare_paired, mcnemar, paired_bootstrap, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_the_published_formula(successes: int, n: int, low: float, high: float) -> None:
    interval = wilson(successes, n)
    assert (interval.estimate, interval.n) == (successes / n, n)
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_what_is_no_share_is_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        wilson(successes, n)


def test_one_observation_a_cluster_is_the_plain_interval() -> None:
    assert clustered([1, 0, 1, 1], [1, 1, 1, 1]) == wilson(3, 4)


def test_identical_samples_of_a_question_count_as_one() -> None:
    alike = clustered([8] * 60 + [0] * 40, [8] * 100)
    assert alike.n == 800
    once = wilson(60, 100)
    assert (alike.low, alike.high) == pytest.approx((once.low, once.high), abs=0.002)


def test_independent_samples_count_nearly_in_full() -> None:
    rng = random.Random(1)
    rights = [sum(rng.random() < 0.6 for _ in range(8)) for _ in range(400)]
    interval = clustered(rights, [8] * 400)
    full = wilson(sum(rights), 3200)
    assert interval.high - interval.low == pytest.approx(full.high - full.low, rel=0.15)


def test_clusters_that_are_all_right_count_once_each() -> None:
    assert clustered([4] * 20, [4] * 20).low == pytest.approx(wilson(20, 20).low)


def test_unequal_clusters_are_weighted_by_their_size() -> None:
    assert clustered([1, 6], [2, 6]).estimate == 7 / 8


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [  # the binomial test: 2 * sum(C(n, i) for i <= min) / 2^n
        (0, 0, 1.0),
        (5, 5, 1.0),
        (1, 9, 2 * 11 / 1024),
        (0, 6, 2 / 64),
        (10, 20, 0.0987371),
    ],
)
def test_mcnemar_is_the_binomial_test(first: int, second: int, p: float) -> None:
    assert mcnemar(first, second) == pytest.approx(p, rel=1e-5)
    assert mcnemar(second, first) == mcnemar(first, second)


def test_mcnemar_holds_for_thousands_of_pairs() -> None:
    assert 0 < mcnemar(2300, 2700) < 1e-7


def test_the_bootstrap_agrees_with_the_normal_interval_and_is_seeded() -> None:
    rng = random.Random(0)
    first = [float(rng.random() < 0.5) for _ in range(1000)]
    second = [float(rng.random() < 0.6) for _ in range(1000)]
    interval = paired_bootstrap(first, second, seed=3)
    differences = [b - a for a, b in zip(first, second, strict=True)]
    mean = sum(differences) / 1000
    error = (sum((d - mean) ** 2 for d in differences) / 1000 / 1000) ** 0.5
    assert interval.estimate == pytest.approx(mean)
    assert interval.low == pytest.approx(mean - 1.96 * error, abs=0.004)
    assert interval.high == pytest.approx(mean + 1.96 * error, abs=0.004)
    assert paired_bootstrap(first, second, seed=3) == interval


def test_a_comparison_counts_the_pairs_that_differ() -> None:
    first = [True] * 50 + [False] * 50
    second = [True] * 48 + [False] * 2 + [True] * 20 + [False] * 30
    compared = compare_paired(first, second)
    assert (compared.n, compared.only_first, compared.only_second) == (100, 2, 20)
    assert compared.difference.estimate == pytest.approx(0.18)
    assert compared.difference.low > 0
    assert compared.p_value == pytest.approx(mcnemar(2, 20))


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        compare_paired([True], [True, False])


def test_an_interval_reads_as_percent() -> None:
    assert wilson(50, 100).percent() == "50.0 % [40.4, 59.6]"
