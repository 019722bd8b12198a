"""Pointwise losses: values worked out by hand, and relations."""

import numpy as np
import pytest
import tensorflow as tf


def test_mean_squared_loss_is_the_weighted_sum_of_squared_errors(evaluate):
    losses, gradients = evaluate("mean_squared_loss", {}, [[3.0, 0.0]], [[1.0, 0.5]], weights=[[2.0, 4.0]])
    np.testing.assert_allclose(losses, [2 * 4 + 4 * 0.25])
    np.testing.assert_allclose(gradients, [[2 * 2 * -2, 4 * 2 * 0.5]])


def test_sigmoid_cross_entropy_takes_labels_as_shares_of_the_highest_grade(evaluate):
    losses, _ = evaluate("sigmoid_cross_entropy_loss", {"max_label": 4.0}, [[1.0, 4.0]], [[0.0, np.log(3.0)]])
    np.testing.assert_allclose(losses, [np.log(2) + np.log(4 / 3)], rtol=1e-6)  # σ(log 3) = 3/4


def test_sigmoid_cross_entropy_refuses_labels_for_which_it_has_no_lower_bound(evaluate):
    with pytest.raises(tf.errors.InvalidArgumentError, match="above `max_label`"):
        evaluate("sigmoid_cross_entropy_loss", {}, [[0.0, 2.0]], [[0.0, 0.0]])


def test_sigmoid_cross_entropy_of_a_symmetric_pair_is_a_pairwise_logistic_loss(evaluate):
    lists = [[1.0, 0.0]], [[0.8, -0.8]]
    pairwise = evaluate("pairwise_logistic_loss", {"temperature": 2.0}, *lists)[0]
    np.testing.assert_allclose(evaluate("sigmoid_cross_entropy_loss", {}, *lists)[0], 2 * pairwise, rtol=1e-6)
