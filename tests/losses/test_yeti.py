"""YetiLoss: the library's pairwise loss with Yeti's weights on noisy scores, without its [L, L] numbers."""

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.losses.document_noise import gumbel_noise

LABELS = [[0.0, 3.0, 1.0, 0.0, 2.0, 2.0]]
SCORES = [[0.9, 0.7, -0.2, 0.1, 0.4, 0.3]]
KEYS = [[5, 6, 7, 8, 9, 10]]
WEIGHTS = [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]


@pytest.mark.parametrize(
    "weight",
    [
        {"name": "yeti_dcg"},
        {"name": "yeti_dcg", "topn": 2, "gain": "identity", "discount": "inverse"},
        {"name": "yeti_dcg", "topn": 3, "normalized": True},
    ],
)
def test_it_is_the_mean_of_the_pairwise_loss_over_noisy_scores(evaluate, weight):
    options = {"temperature": 0.5, "sample_size": 4, "gumbel_temperature": 2.0, "lambda_weight": weight}
    arguments = {"keys": KEYS, "seed": (3, 4), "weights": WEIGHTS}
    losses, gradients = evaluate("yeti_logistic_loss", options, LABELS, SCORES, **arguments)
    noise = gumbel_noise(tf.constant(KEYS, tf.int64), tf.constant([3, 4]), 4).numpy()[0]
    noisy = (np.array(SCORES) + noise) / 2.0
    options = {"temperature": 0.5, "lambda_weight": weight}
    expected = evaluate("pairwise_logistic_loss", options, LABELS * 4, noisy, weights=WEIGHTS)
    np.testing.assert_allclose(losses, [expected[0].mean()], rtol=1e-5)
    np.testing.assert_allclose(gradients, [expected[1].mean(axis=0) / 2.0], rtol=1e-4, atol=1e-5)


def test_its_weight_by_default_is_yeti_dcg(evaluate):
    named = evaluate("yeti_logistic_loss", {"lambda_weight": {"name": "yeti_dcg"}}, LABELS, SCORES)[0]
    np.testing.assert_array_equal(evaluate("yeti_logistic_loss", {}, LABELS, SCORES)[0], named)


def test_a_pair_without_noise_to_speak_of_by_hand(evaluate):
    losses = evaluate("yeti_logistic_loss", {}, [[1.0, 2.0]], [[1000.0, 0.0]])[0]
    # Two documents, gains 1 and 3, discounts 1 and 1/log2(3), distance 1000 the wrong way round (noise adds up to 20).
    np.testing.assert_allclose(losses, [2 * 2 * (1 - 1 / np.log2(3)) * 1000], rtol=0.02)
