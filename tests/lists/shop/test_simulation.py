"""The shop as a whole: two windows, of which the later one brings new queries and new products."""

import dataclasses

import numpy as np
import pytest

from tfr_listbert.config import ShopConfig
from tfr_listbert.lists.shop.simulation import simulate
from tfr_listbert.schema import InputError


def test_two_fifths_of_the_test_queries_are_unseen(small_shop):
    seen, tested = set(small_shop.training.log.query), set(small_shop.test.log.query)
    assert len(tested) == 50 and len(tested - seen) == 20


def test_the_test_window_comes_later(small_shop):
    assert small_shop.test.log.day.min() > small_shop.training.log.day.max() + 50


def test_products_come_and_go_between_the_windows(small_shop):
    before, after = set(small_shop.training.log.product), set(small_shop.test.log.product)
    assert after - before and before - after and before & after


def test_training_sessions_are_those_of_the_config(small_config, small_shop):
    log = small_shop.training.log
    sessions = log.impressions[log.position == 1].sum()
    assert abs(sessions / small_config.sessions - 1) < 0.05


def test_candidates_with_every_grade_are_shown(small_shop):
    share = np.bincount(small_shop.training.found.grades.ravel(), minlength=5) / small_shop.training.found.grades.size
    assert (share > 0.05).all()


def test_same_seed_gives_the_same_log(small_config, small_shop):
    again = simulate(small_config)
    other = simulate(dataclasses.replace(small_config, seed=2))
    for field in dataclasses.fields(again.test.log):
        np.testing.assert_array_equal(getattr(again.test.log, field.name), getattr(small_shop.test.log, field.name))
    assert (
        len(other.test.log.clicks) != len(again.test.log.clicks)
        or (other.test.log.clicks != again.test.log.clicks).any()
    )


@pytest.mark.parametrize(
    ("setting", "value"),
    [("products", 5), ("unseen_rate", 1.5), ("results", 1), ("results", 5000), ("test_queries", 9999)],
)
def test_impossible_sizes_are_answered_by_name(setting, value):
    with pytest.raises(InputError, match=f"`shop.{setting}` must be"):
        ShopConfig(**{setting: value})
