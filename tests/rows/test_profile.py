"""Widths and feature statistics of training rows."""

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.rows.profile import measure_rows
from tfr_listbert.schema import InputError

NAN = float("nan")


def build_rows(lengths, features):
    tokens = tf.RaggedTensor.from_row_lengths(tf.zeros([sum(lengths)], tf.int32), lengths)
    dataset = tf.data.Dataset.from_tensors({"tokens": tokens, "features": tf.constant(features, tf.float32)})
    return dataset.repeat(2)


def test_statistics_leave_missing_values_out():
    profile = measure_rows(build_rows([4, 4, 6], [[1.0, 5.0], [3.0, 5.0], [NAN, NAN]]), ("price", "stock"), 2, 9)
    np.testing.assert_allclose(profile.feature_means, [2.0, 5.0])
    np.testing.assert_allclose(profile.feature_deviations, [1.0, 1.0])  # what does not vary is divided by 1
    assert profile.widths == (4, 9)  # 4 + 4 + 9 tokens a pass; (6, 9) has 6 + 6 + 6


def test_a_feature_of_small_values_is_normalized_like_others():
    profile = measure_rows(build_rows([4, 4], [[1e-6, 0.0], [3e-6, 0.0]]), ("share", "none"), 1, 9)
    np.testing.assert_allclose(profile.feature_deviations, [1e-6, 1.0])


def test_a_feature_without_any_value_is_named():
    with pytest.raises(InputError, match="'stock' of `model.features` has no value"):
        measure_rows(build_rows([4], [[1.0, NAN]]), ("price", "stock"), 2, 9)
