"""The mendings: what the library does alone, as measured, and what holds instead.

That every mending holds for every loss is tested in test_ranking_loss.py; here each stands beside the fault it mends.
"""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_ranking as tfr
from tensorflow_ranking.python import losses_impl

from tests.losses.conftest import SAMPLED
from tfr_listbert.registry import LOSSES

THREE = [[2.0, 1.0, 0.0]], [[0.2, 0.5, 0.1]]
PADDED = [THREE[0][0] + [-1.0] * 97], [THREE[1][0] + [0.0] * 97]


def library(key, labels, scores, **options):
    return float(tfr.keras.losses.get(key, **options)(labels, scores))


def padded(evaluate, key, options, labels, scores):
    return evaluate(key, options, np.maximum(labels, 0), scores, mask=np.array(labels) >= 0)[0][0]


# Those draw noise of their own: see test_approx.py, test_yeti.py and test_rank_distil.py.
NOISELESS = [key for key in tfr.keras.losses.RankingLossKey.all_keys() if key in LOSSES and key not in SAMPLED]


@pytest.mark.parametrize("key", NOISELESS)
def test_where_nothing_is_to_mend_the_library_is_left_as_it_is(evaluate, key):
    labels = [[1.0, 0.0, 0.5, 0.25]]
    scores, weights = [[0.3, 1.2, -0.5, 0.1]], [[1.0, 2.0, 3.0, 4.0]]
    loss = tfr.keras.losses.get(key, reduction=tf.losses.Reduction.SUM)
    expected = loss(labels, scores, weights)
    np.testing.assert_allclose(evaluate(key, {}, labels, scores, weights=weights)[0], [expected], rtol=1e-5)


def test_the_library_divides_a_list_by_its_padding(evaluate):
    assert library("pairwise_logistic_loss", *THREE) > 30 * library("pairwise_logistic_loss", *PADDED)
    whole = evaluate("pairwise_logistic_loss", {}, *THREE)[0][0]
    np.testing.assert_allclose(padded(evaluate, "pairwise_logistic_loss", {}, *PADDED), whole, rtol=1e-6)


def test_the_library_takes_padding_for_documents_in_list_mle(evaluate):
    assert library("list_mle_loss", *PADDED) > 100 * library("list_mle_loss", *THREE)
    whole = evaluate("list_mle_loss", {}, *THREE)[0][0]
    np.testing.assert_allclose(padded(evaluate, "list_mle_loss", {}, *PADDED), whole, rtol=1e-6)


@pytest.mark.parametrize("key", ["softmax_loss", "unique_softmax_loss", "list_mle_loss"])
def test_scores_near_minus_40_stand_above_padding(evaluate, key):
    scores = [[score - 40 if slot < 3 else 0.0 for slot, score in enumerate(PADDED[1][0])]]
    whole = evaluate(key, {}, *THREE)[0][0]
    np.testing.assert_allclose(padded(evaluate, key, {}, PADDED[0], scores), whole, rtol=1e-5)


def test_the_library_lets_padding_outweigh_softmax_scores_near_minus_40():
    scores = [[score - 40 if slot < 3 else 0.0 for slot, score in enumerate(PADDED[1][0])]]
    assert library("softmax_loss", PADDED[0], scores) > 10 * library("softmax_loss", *THREE)


def test_the_library_gives_no_number_for_list_mle_of_far_scores(evaluate):
    assert library("list_mle_loss", [[2.0, 1.0, 0.0]], [[50.0, 0.0, -50.0]]) == -np.inf
    losses, gradients = evaluate("list_mle_loss", {}, [[2.0, 1.0, 0.0]], [[50.0, 0.0, -50.0]])
    assert np.isfinite(losses).all() and np.isfinite(gradients).all()


def test_the_library_scales_lambda_weights_by_the_padding(evaluate):
    weight = losses_impl.DCGLambdaWeight()
    sums = {}
    for name, (labels, scores) in {"three": THREE, "padded": PADDED}.items():
        loss = tfr.keras.losses.get("pairwise_logistic_loss", reduction="sum", lambda_weight=weight)
        sums[name] = float(loss(labels, scores))
    np.testing.assert_allclose(sums["padded"], sums["three"] * 100 / 3, rtol=1e-5)
    options = {"lambda_weight": {"name": "dcg"}}
    np.testing.assert_allclose(padded(evaluate, "pairwise_logistic_loss", options, *PADDED), sums["three"], rtol=1e-5)


def test_the_library_ranks_padding_between_documents_at_high_scores(evaluate):
    labels, scores = [[1.0, 0.0] + [-1.0] * 60], [[50.0, 49.0] + [50.0] * 60]
    is_document = tf.constant(labels) >= 0
    tf.random.set_seed(1)
    ranks = losses_impl._compute_ranks(tf.constant([[50.0, 50.0] + [50.0] * 60]), is_document)
    assert ranks[0, :2].numpy().max() > 2
    options = {"lambda_weight": {"name": "precision", "topn": 1}}
    alone = evaluate("pairwise_logistic_loss", options, [labels[0][:2]], [scores[0][:2]])[0][0]
    np.testing.assert_allclose(padded(evaluate, "pairwise_logistic_loss", options, labels, scores), alone, rtol=1e-6)


def test_the_library_breaks_ties_in_score_by_a_shuffle(evaluate):
    scores = tf.zeros((1, 30))
    tf.random.set_seed(1)
    first, second = (losses_impl._compute_ranks(scores, scores >= 0).numpy().tolist() for _ in range(2))
    assert first != second
    options = {"lambda_weight": {"name": "ndcg"}}
    lists = [np.arange(30.0)], [np.zeros(30)]
    first, second = (evaluate("pairwise_logistic_loss", options, *lists)[1] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_library_drops_zero_lists_as_soon_as_they_have_weights(evaluate):
    lists = [[0.0, 0.0, 0.0]], [[0.1, 0.2, 0.3]]
    assert library("list_mle_loss", *lists) > 1
    assert float(tfr.keras.losses.get("list_mle_loss")(*lists, [[1.0, 1.0, 1.0]])) == 0
    one, two = (evaluate("list_mle_loss", {}, *lists, weights=weight)[0] for weight in (1.0, [[1.0, 2.0, 3.0]]))
    assert one > 1
    np.testing.assert_allclose(two, 2 * one)


def test_the_library_ties_noisy_scores_far_below_the_highest(evaluate):
    labels, scores = [[0.0, 3.0, 1.0]], [[0.0, -90.0, -180.0]]
    sampler = losses_impl.GumbelSampler(sample_size=4, seed=1)
    _, noisy, _ = sampler.sample(tf.constant(labels), tf.constant(scores))
    np.testing.assert_allclose(noisy[:, 1], noisy[:, 2], atol=1e-5)
    expected = evaluate("approx_ndcg_loss", {}, labels, scores)[0]
    np.testing.assert_allclose(evaluate("gumbel_approx_ndcg_loss", {}, labels, scores)[0], expected, rtol=1e-6)


def test_the_library_sums_over_samples(evaluate):
    lists = [[100.0, 0.0, 50.0]], [[0.5, 0.2, -0.4]]
    one, eight = (evaluate("coupled_rankdistil_loss", {"sample_size": size}, *lists)[0] for size in (1, 8))
    np.testing.assert_allclose(one, eight, rtol=1e-6)
    far = [[3.0, 0.0]], [[900.0, 0.0]]
    sums = [library("gumbel_approx_ndcg_loss", *far, reduction="sum", sample_size=size) for size in (1, 8)]
    np.testing.assert_allclose(sums[1], 8 * sums[0], rtol=1e-6)
    one, eight = (evaluate("gumbel_approx_ndcg_loss", {"sample_size": size}, *far)[0] for size in (1, 8))
    np.testing.assert_allclose(one, eight, rtol=1e-6)
