"""Losses that approximate a metric: values worked out by hand, and the metric that they go to."""

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.losses.document_noise import gumbel_noise
from tfr_listbert.metrics import ScoredList, compute_metrics

LABELS = [[0.0, 3.0, 1.0, 0.0, 2.0]]
SCORES = [[0.9, 0.7, -0.2, 0.1, 0.4]]


def test_approx_ndcg_is_that_of_the_smooth_ranks(evaluate):
    # Distance log 3 at temperature 1: the upper document's rank is 1 + 1/4, the lower one's 1 + 3/4.
    losses = evaluate("approx_ndcg_loss", {"temperature": 1.0}, [[1.0, 2.0]], [[np.log(3.0), 0.0]])[0]
    dcg = 1 / np.log2(1 + 1.25) + 3 / np.log2(1 + 1.75)
    np.testing.assert_allclose(losses, [-dcg / (3 + 1 / np.log2(3))], rtol=1e-6)


def test_approx_ndcg_goes_to_ndcg_as_the_temperature_falls(evaluate):
    ids = [str(slot) for slot in range(5)]
    metrics = compute_metrics([ScoredList("q", ids, np.array(LABELS[0]), np.array(SCORES[0]))])
    losses = evaluate("approx_ndcg_loss", {"temperature": 1e-3}, LABELS, SCORES)[0]
    np.testing.assert_allclose(losses, -metrics["ndcg"], rtol=1e-6)


@pytest.mark.parametrize(("documents", "gain"), [(7, 1.21), (30, 1.24)])
def test_scores_far_apart_in_any_order_have_a_lower_loss_than_equal_ones(evaluate, documents, gain):
    # One relevant document, at each rank in turn: the mean of the discounts over that of the middle rank.
    labels = np.eye(documents)
    equal, apart = (
        evaluate(
            "approx_ndcg_loss", {"temperature": 0.1}, labels, np.tile(np.arange(documents) * distance, (documents, 1))
        )[0]
        for distance in (0.0, 10.0)
    )
    np.testing.assert_allclose(equal, -1 / np.log2(2 + (documents - 1) / 2), rtol=1e-6)
    assert np.mean(apart) / np.mean(equal) == pytest.approx(gain, abs=0.005)


def test_approx_mrr_weights_reciprocal_smooth_ranks_by_label(evaluate):
    losses = evaluate("approx_mrr_loss", {"temperature": 1.0}, [[1.0, 2.0]], [[np.log(3.0), 0.0]])[0]
    np.testing.assert_allclose(losses, [-(1 / 1.25 + 2 / 1.75) / 3], rtol=1e-6)


def test_approx_mrr_goes_to_the_reciprocal_rank_of_one_relevant_document(evaluate):
    losses = evaluate("approx_mrr_loss", {"temperature": 1e-3}, [[0.0, 0.0, 1.0, 0.0, 0.0]], SCORES)[0]
    np.testing.assert_allclose(losses, [-1 / 5], rtol=1e-6)


def test_lists_without_a_relevant_document_have_loss_zero(evaluate):
    for key in ("approx_ndcg_loss", "approx_mrr_loss", "gumbel_approx_ndcg_loss"):
        np.testing.assert_array_equal(evaluate(key, {}, [[0.0] * 5], SCORES)[0], [0.0])


def test_gumbel_approx_ndcg_is_the_mean_over_noisy_scores(evaluate):
    options = {"temperature": 0.5, "sample_size": 3, "gumbel_temperature": 2.0}
    losses = evaluate("gumbel_approx_ndcg_loss", options, LABELS, SCORES, keys=[[5, 6, 7, 8, 9]], seed=(3, 4))[0]
    noise = gumbel_noise(tf.constant([[5, 6, 7, 8, 9]], tf.int64), tf.constant([3, 4]), 3).numpy()[0]
    noisy = (np.array(SCORES) + noise) / 2.0
    expected = evaluate("approx_ndcg_loss", {"temperature": 0.5}, LABELS * 3, noisy)[0]
    np.testing.assert_allclose(losses, [expected.mean()], rtol=1e-5)


def test_noise_does_not_matter_to_scores_far_apart(evaluate):
    scores = np.array(SCORES) * 1e4
    expected = evaluate("approx_ndcg_loss", {}, LABELS, scores)[0]
    np.testing.assert_allclose(evaluate("gumbel_approx_ndcg_loss", {}, LABELS, scores)[0], expected, rtol=1e-5)
