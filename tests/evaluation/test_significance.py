"""Significance: equal to SciPy where SciPy has the same, exact values by hand, rates under the null hypothesis."""

import tracemalloc

import numpy as np
import pytest
import scipy.stats

from tfr_listbert.evaluation.intervals import bootstrap_interval
from tfr_listbert.evaluation.significance import compact_letters, holm, paired_randomization_test


def scipy_test(a, b, resamples, seed=0):
    differences = (np.subtract(a, b),)
    options = {"permutation_type": "samples", "vectorized": True, "batch": 500, "random_state": seed}
    return scipy.stats.permutation_test(differences, np.mean, n_resamples=resamples, **options).pvalue


def test_few_queries_are_tested_exactly():
    # Sums of ±1 ±2 ±3 that are at least as far from 0 as 6: 2 of 8.
    assert paired_randomization_test(np.array([1, 2, 3]), np.zeros(3), resamples=8, seed=0) == 2 / 8
    # ±1 ±2 ±3 at least 4 away from 0: ±6 and ±4.
    assert paired_randomization_test(np.array([-1, 2, 3]), np.zeros(3), resamples=100, seed=5) == 4 / 8


@pytest.mark.parametrize("seed", range(5))
def test_the_exact_test_equals_scipy(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.random(10).round(1), rng.random(10).round(1)  # rounded: sums tie
    assert paired_randomization_test(a, b, 2000, seed) == pytest.approx(scipy_test(a, b, 2000))


@pytest.mark.parametrize("shift", [0.0, 0.004, 0.02])
def test_the_sampled_test_equals_scipy_within_its_error(shift):
    rng = np.random.default_rng(1)
    a = rng.random(400)
    b = a + rng.normal(shift, 0.05, 400)
    p, expected = paired_randomization_test(a, b, 10_000, seed=2), scipy_test(a, b, 10_000)
    assert abs(p - expected) < 5 * np.sqrt(2 * max(expected, 1e-4) / 10_000)


def test_a_sampled_p_value_is_never_zero_and_symmetric_in_its_sides():
    a, b = np.ones(50), np.zeros(50)
    assert paired_randomization_test(a, b, 999, seed=1) == 1 / 1000
    assert paired_randomization_test(b, a, 999, seed=1) == 1 / 1000


def test_queries_without_a_difference_and_single_queries_prove_nothing():
    equal = np.full(500, 0.25)
    assert paired_randomization_test(equal, equal, 100, seed=1) == 1.0
    assert paired_randomization_test(np.array([0.9]), np.array([0.1]), 100, seed=1) == 1.0
    assert paired_randomization_test(np.append(equal, [1.0, 2.0, 3.0]), np.append(equal, np.zeros(3)), 100, 1) == 2 / 8


def test_under_the_null_hypothesis_one_in_twenty_is_below_one_in_twenty():
    rng = np.random.default_rng(3)
    p_values = [paired_randomization_test(rng.normal(size=40), rng.normal(size=40), 400, seed) for seed in range(600)]
    assert abs(np.mean(np.array(p_values) <= 0.05) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 600)


def test_the_same_seed_gives_the_same_p_value():
    rng = np.random.default_rng(3)
    a, b = rng.random(100), rng.random(100)
    assert paired_randomization_test(a, b, 1000, seed=1) == paired_randomization_test(a, b, 1000, seed=1)


def test_memory_is_bounded():
    rng = np.random.default_rng(3)
    a, b = rng.random(1500), rng.random(1500)
    tracemalloc.start()
    paired_randomization_test(a, b, 10_000, seed=1)
    bootstrap_interval(a, 10_000, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


def test_holm_by_hand():
    # 0.01·4 = 0.04; 0.02·3 = 0.06; 0.03·2 = 0.06; 0.9·1 = 0.9
    np.testing.assert_allclose(holm([0.02, 0.9, 0.01, 0.03]), [0.06, 0.9, 0.04, 0.06])
    np.testing.assert_allclose(holm([0.6, 0.7]), [1.0, 1.0])
    assert holm([]).shape == (0,)


def test_letters_by_hand():
    differs = np.zeros([4, 4], bool)
    assert compact_letters(differs) == ["a"] * 4
    differs[0, 3] = differs[3, 0] = differs[1, 3] = differs[3, 1] = differs[0, 2] = differs[2, 0] = True
    assert compact_letters(differs) == ["a", "ab", "bc", "c"]
    assert compact_letters(~np.eye(3, dtype=bool)) == ["a", "b", "c"]


@pytest.mark.parametrize("seed", range(5))
def test_two_share_a_letter_exactly_if_they_do_not_differ(seed):
    differs = np.triu(np.random.default_rng(seed).random([9, 9]) < 0.5, 1)
    differs |= differs.T
    letters = [set(own) for own in compact_letters(differs)]
    shares = np.array([[bool(one & other) for other in letters] for one in letters])
    np.testing.assert_array_equal(shares, ~differs)
