"""Bootstrap intervals: that of the normal law where it holds, a point of equal values, none of one query."""

import numpy as np
import scipy.stats

from tfr_listbert.evaluation.intervals import bootstrap_interval, bootstrap_ratio


def test_the_interval_is_that_of_the_normal_law_for_many_queries():
    values = np.random.default_rng(0).random(2000)
    low, high = bootstrap_interval(values, 10_000, seed=1)
    error = scipy.stats.norm.ppf(0.975) * values.std() / np.sqrt(2000)
    np.testing.assert_allclose([low, high], [values.mean() - error, values.mean() + error], atol=0.1 * error)
    assert bootstrap_interval(values, 10_000, seed=1) == (low, high)


def test_the_interval_of_equal_values_is_a_point_and_of_one_query_unknown():
    assert bootstrap_interval(np.full(20, 0.5), 100, seed=1) == (0.5, 0.5)
    assert np.isnan(bootstrap_interval(np.array([0.5]), 100, seed=1)).all()


def test_the_ratios_interval_resamples_both_together():
    whole = np.random.default_rng(1).uniform(0.1, 1, 60)
    np.testing.assert_allclose(bootstrap_ratio(0.5 * whole, whole, 500, 3), [0.5, 0.5])
    draw = np.random.default_rng(2)
    part = draw.uniform(0, 1, 2000)
    low, high = bootstrap_ratio(part, np.ones(2000), 10_000, 3)
    error = 1.96 * part.std() / np.sqrt(2000)
    np.testing.assert_allclose([low, high], [part.mean() - error, part.mean() + error], atol=0.1 * error)
