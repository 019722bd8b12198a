"""The objective of a step: every term with its weight, dropout on, and noise that the step's seed decides."""

import dataclasses

import pytest
import tensorflow as tf

from tfr_listbert.losses import build_loss
from tfr_listbert.training.objectives import LossTerm, build_objective

BATCH = {
    "mask": tf.constant([[True, True, True]]),
    "labels": tf.constant([[0.0, 1.0, 2.0]]),
    "weights": tf.ones([1, 3]),
    "document_keys": tf.constant([[1, 2, 3]], tf.int64),
}


def test_an_objective_asks_for_dropout_and_adds_its_terms_by_weight_with_noise_of_the_seed():
    asked = []

    def network(inputs, training):
        asked.append((training, inputs["seed"].numpy().tolist()))
        return tf.constant([[0.3, 0.1, -0.2]])

    def total(*terms, seed=(1, 2)):
        loss, lists, rows = build_objective(terms)(network, BATCH, tf.constant(seed))
        assert (int(lists), int(rows)) == (1, 3)
        return float(loss)

    noisy, plain = (LossTerm(build_loss(key, {})) for key in ("gumbel_approx_ndcg_loss", "softmax_loss"))
    assert total(noisy) == total(noisy) != total(noisy, seed=(1, 3))
    assert asked[0] == (True, [1, 2])
    both = total(dataclasses.replace(noisy, weight=0.5), dataclasses.replace(plain, weight=3.0))
    assert both == pytest.approx(0.5 * total(noisy) + 3 * total(plain), rel=1e-5)
