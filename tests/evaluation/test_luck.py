"""Tests over queries and runs: equal to SciPy's where it has the same, and values by hand."""

import numpy as np
import pytest
import scipy.stats

from tfr_listbert.evaluation.intervals import bootstrap_interval
from tfr_listbert.evaluation.luck import (
    Luck,
    Share,
    combine_luck,
    estimate_luck,
    paired_run_interval,
    paired_run_tests,
)
from tfr_listbert.evaluation.significance import paired_randomization_test


def find_p(a, b, luck, resamples, seed):
    """Returns the p-value of one pair alone."""
    (p,) = paired_run_tests([(a, b)], [luck], resamples, seed)
    return p


def test_without_a_part_of_queries_it_is_welchs_t_test():
    runs = [[0.50, 0.53, 0.52], [0.58, 0.56, 0.57]]
    luck = combine_luck(*estimate_luck(runs)[0], (3, 3))
    queries = 20_000  # so many that flips of a constant add nothing
    p = find_p(np.full(queries, np.mean(runs[0])), np.full(queries, np.mean(runs[1])), luck, 4000, 1)
    expected = scipy.stats.ttest_ind(*runs, equal_var=False).pvalue
    assert abs(p - expected) < 5 * np.sqrt(expected / 4000)


def test_the_interval_of_a_difference_has_both_parts():
    a, b = np.random.default_rng(1).random([2, 400])
    luck = Luck((Share(0, 0.03**2, 5), Share(1, 0.04**2, 5)))
    low, high = paired_run_interval(a, b, luck, 20_000, 3)
    difference = np.mean(a - b)
    # Where queries add little, difference ± t of 0.0025² / (0.0009² + 0.0016²) * 5 = 9.27 degrees times 0.05.
    drawn = np.random.default_rng(9).standard_t(0.0025**2 * 5 / (0.0009**2 + 0.0016**2), 200_000) * 0.05
    drawn += np.random.default_rng(8).normal(0, np.std(a - b) / 20, 200_000)
    np.testing.assert_allclose([low, high], difference + np.quantile(drawn, [0.025, 0.975]), atol=0.004)
    assert paired_run_interval(a, b, Luck(), 500, 3) == bootstrap_interval(a - b, 500, 3)
    assert np.isnan(paired_run_interval(np.array([0.5]), np.array([0.25]), luck, 500, 3)).all()


def test_without_luck_it_is_the_randomization_test():
    a, b = np.random.default_rng(1).random([2, 50])
    assert find_p(a, b, Luck(), 500, 3) == paired_randomization_test(a, b, 500, 3)


def test_pairs_that_are_tested_together_have_the_p_values_that_they_have_alone():
    values = np.random.default_rng(2).random([4, 40]).round(1)
    values[3] = values[2]
    values[3, :3] += 0.1  # exact, for so few differ
    pairs = [(values[0], values[1]), (values[1], values[2]), (values[2], values[3]), (values[0], values[0])]
    lucks = [Luck((Share(0, 0.01**2, 4),)), Luck(), Luck((Share(0, 1e-3**2, 4),)), Luck((Share(0, 0.01**2, 4),))]
    together = paired_run_tests(pairs, lucks, 20_000, 3)
    alone = [find_p(*pair, luck, 20_000, 3) for pair, luck in zip(pairs, lucks, strict=True)]
    np.testing.assert_allclose(together, alone, atol=0.02)
    assert together[2] == alone[2] == 0.25 and together[3] == 1.0


@pytest.mark.parametrize("queries", [5, 7])
def test_other_runs_make_nothing_surer(queries):
    luck = Luck((Share(0, 1e-8, 4),))
    a, b = np.full(queries, 0.6), np.full(queries, 0.5)
    assert find_p(a, b, luck, 4000, 1) == paired_randomization_test(a, b, 4000, 1) == 2 / 2**queries


def test_the_pooled_luck_is_the_error_of_an_analysis_of_variance():
    runs = np.random.default_rng(0).normal(0.5, 0.1, [5, 4])
    means = runs.mean(axis=1)
    f_value = scipy.stats.f_oneway(*runs).statistic
    expected = np.sqrt(4 * means.var(ddof=1) / f_value)
    assert {round(luck.deviation, 12) for luck in estimate_luck(runs)[0]} == {round(expected, 12)}


def test_degrees_of_a_pool_by_hand():
    # Squares 0.02, 0.02, 0.045 of 1 degree each: 0.085² / (0.02² + 0.02² + 0.045²) degrees.
    first, second, third = estimate_luck([[0.1, 0.3], [0.5, 0.7], [0.1, 0.4]])[0]
    degrees = pytest.approx(0.007225 / 0.002825)
    assert first == second == third and first.deviation**2 == pytest.approx(0.085 / 3) and first.degrees == degrees
    # The difference of two of them over 2 runs each: the same estimate, so no degrees more.
    luck = combine_luck(first, second, (2, 2))
    assert luck.deviation**2 == pytest.approx(0.085 / 3) and luck.degrees == degrees


def test_a_loss_that_seems_to_vary_more_has_its_own_luck_and_a_part_in_that_of_others():
    # Squares 0.02, 0.02, 0.18 of 1 degree each: pooled variance 0.22/3, that of the third more than twice that.
    first, second, third = estimate_luck([[0.1, 0.3], [0.5, 0.7], [0.1, 0.7]])[0]
    assert first == second and first.deviation**2 == pytest.approx(0.22 / 3)
    assert third.deviation**2 == pytest.approx(0.18) and third.degrees == pytest.approx(1)
    # With the third: 0.01/3 + 0.01/3 + (0.09 + 0.18/6), over 1 degree each.
    luck = combine_luck(first, third, (2, 2))
    variance = 0.02 / 3 + 0.12
    assert luck.deviation**2 == pytest.approx(variance)
    assert luck.degrees == pytest.approx(variance**2 / (2 * (0.01 / 3) ** 2 + 0.12**2))


def test_a_clear_outlier_has_no_part_in_the_luck_of_others():
    calm = [[0.5, 0.5001, 0.5002], [0.6, 0.6001, 0.6002], [0.7, 0.7001, 0.7002]]
    lucks = estimate_luck([*calm, [0.1, 0.9, 0.5]])[0]
    assert {share.loss for luck in lucks[:3] for share in luck.shares} == {0, 1, 2}
    assert [share.loss for share in lucks[3].shares] == [3]


def test_luck_of_its_own_is_combined_as_welch_does():
    first, second = [0.1, 0.5, 0.3, 0.9], [0.60, 0.61, 0.59]
    own = [Share(loss, float(np.var(runs, ddof=1)), len(runs) - 1) for loss, runs in enumerate((first, second))]
    lucks = [Luck((share,)) for share in own]
    luck = combine_luck(*lucks, (4, 3))
    result = scipy.stats.ttest_ind(first, second, equal_var=False)
    t_value = (np.mean(first) - np.mean(second)) / luck.deviation
    assert 2 * scipy.stats.t.sf(abs(t_value), luck.degrees) == pytest.approx(result.pvalue)


def test_what_is_not_trained_and_what_ran_once_have_no_luck_of_their_own():
    assert estimate_luck([[0.4], [0.6], []]) == ([Luck(), Luck(), Luck()], Luck())
    luck = combine_luck(Luck((Share(0, 0.01, 4),)), Luck(), (4, 0))
    assert (luck.deviation, luck.degrees) == (pytest.approx(0.05), pytest.approx(4))
    assert combine_luck(Luck(), Luck(), (0, 0)) == Luck()
