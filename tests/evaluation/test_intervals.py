"""Bootstrap intervals: those of the normal law where it holds, and answers to bad values."""

import numpy as np
import pytest
import scipy.stats

from tfr_listbert.evaluation.intervals import bootstrap_interval, bootstrap_ratio
from tfr_listbert.schema import InputError


def test_the_interval_is_that_of_the_normal_law_for_many_queries():
    values = np.random.default_rng(0).random(2000)
    low, high = bootstrap_interval(values, 10_000, seed=1, confidence=0.9)
    error = scipy.stats.norm.ppf(0.95) * values.std() / np.sqrt(2000)
    np.testing.assert_allclose([low, high], [values.mean() - error, values.mean() + error], atol=0.1 * error)
    assert bootstrap_interval(values, 10_000, seed=1, confidence=0.9) == (low, high)


def test_the_interval_of_equal_values_is_a_point_and_of_one_query_unknown():
    assert bootstrap_interval([0.5] * 20, 100, seed=1) == (0.5, 0.5)
    assert np.isnan(bootstrap_interval([0.5], 100, seed=1)).all()


def test_the_ratios_interval_resamples_both_together():
    whole = np.random.default_rng(1).uniform(0.1, 1, 60)
    np.testing.assert_allclose(bootstrap_ratio(0.5 * whole, whole, 500, 3), [0.5, 0.5])
    draw = np.random.default_rng(2)
    part = draw.uniform(0, 1, 2000)
    low, high = bootstrap_ratio(part, np.ones(2000), 10_000, 3, confidence=0.9)
    error = 1.645 * part.std() / np.sqrt(2000)
    np.testing.assert_allclose([low, high], [part.mean() - error, part.mean() + error], atol=0.1 * error)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_interval([1.0, np.inf], 100, 0), "`values` must hold finite numbers, got inf"),
        (lambda: bootstrap_interval([[1.0]], 100, 0), "got shape (1, 1)"),
        (lambda: bootstrap_interval([1.0, 2.0], 100, 0, confidence=95), "`confidence` must be between 0 and 1, got 95"),
    ],
)
def test_bad_values_are_answered_with_what_came(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert message in str(error.value)
