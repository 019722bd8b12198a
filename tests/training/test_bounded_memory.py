"""Training at bounded memory: for every loss the step that it takes in one piece."""

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.encoders.roberta import RobertaEncoder
from tfr_listbert.encoders.shapes import RobertaShape
from tfr_listbert.losses import build_loss
from tfr_listbert.models.ranker import RowScorer, build_ranker
from tfr_listbert.registry import LOSSES
from tfr_listbert.training.objectives import LossTerm, build_objective

SHAPE = RobertaShape(layers=2, heads=2, width=8, inner_width=16, positions=40)
WIDTHS = (6, 11, 33)
SIZES = (7, 1, 12, 3, 2)
SEED = tf.constant([3, 4])


@pytest.fixture(scope="module")
def encoder():
    encoder = RobertaEncoder(30, SHAPE, dropout_rate=0.0, attention_dropout_rate=0.0)
    for weight in encoder.trainable_variables:
        weight.assign_add(tf.random.stateless_normal(weight.shape, [1, len(weight.name)], stddev=0.3))
    return encoder


@pytest.fixture(scope="module")
def batch():
    draw = np.random.default_rng(2)
    rows = [[0, *draw.integers(4, 30, draw.integers(1, 31)), 2] for _ in range(sum(SIZES))]
    shape = (len(SIZES), max(SIZES))
    return {
        "tokens": tf.ragged.constant(rows, tf.int32),
        "features": tf.zeros([sum(SIZES), 0]),
        "mask": tf.constant(np.arange(shape[1])[None] < np.array(SIZES)[:, None]),
        "labels": tf.constant(draw.integers(0, 5, shape), tf.float32),
        "document_keys": tf.constant(draw.integers(0, 2**60, shape), tf.int64),
        "weights": tf.constant(draw.uniform(0.5, 2, shape), tf.float32),
    }


def build_network(encoder, max_tokens):
    row_scorer = RowScorer(encoder, WIDTHS, dropout_rate=0.0, max_tokens=max_tokens)
    row_scorer.head.kernel.assign(tf.random.stateless_normal(row_scorer.head.kernel.shape, [1, 1]))
    return build_ranker(row_scorer)


@pytest.fixture(scope="module")
def networks(encoder):
    return build_network(encoder, None), build_network(encoder, 48)


def compute_step(network, objective, batch):
    with tf.GradientTape() as tape:
        total, count, _ = objective(network, batch, SEED)
        loss = total / tf.cast(count, tf.float32)
    gradients = tape.gradient(loss, network.trainable_variables)
    return loss, [tf.convert_to_tensor(gradient) for gradient in gradients]


@pytest.mark.parametrize("key", list(LOSSES))
def test_chunks_and_micro_batches_give_the_step_of_one_piece(networks, batch, key):
    loss = build_loss(key, {"max_label": 4.0} if key == "sigmoid_cross_entropy_loss" else {})
    whole = compute_step(networks[0], build_objective([LossTerm(loss)]), batch)
    parts = compute_step(networks[1], build_objective([LossTerm(loss)], micro_batch_lists=2), batch)
    largest = max(np.abs(gradient).max() for gradient in whole[1])
    assert largest > 1e-3
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-5)
    for got, expected in zip(parts[1], whole[1], strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5 * max(1, largest), rtol=1e-5)
