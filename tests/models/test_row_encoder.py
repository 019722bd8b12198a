"""Rows encoded chunk by chunk: the same vectors and gradients in less memory."""

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.encoders.roberta import RobertaEncoder
from tfr_listbert.encoders.shapes import RobertaShape
from tfr_listbert.models.row_encoder import encode_rows, fold_head_seed, plan_chunks

SHAPE = RobertaShape(layers=2, heads=2, width=8, inner_width=16, positions=40)
WIDTHS = (6, 11, 33)
SEED = tf.constant([1, 2])


@pytest.fixture(scope="module")
def encoder():
    encoder = RobertaEncoder(30, SHAPE, dropout_rate=0.2, attention_dropout_rate=0.2)
    for weight in encoder.trainable_variables:
        weight.assign_add(tf.random.stateless_normal(weight.shape, [1, len(weight.name)], stddev=0.3))
    return encoder


def build_rows(count, seed=0):
    draw = np.random.default_rng(seed)
    rows = [[0, *draw.integers(4, 30, draw.integers(1, 31)), 2] for _ in range(count)]
    return tf.ragged.constant(rows, tf.int32, ragged_rank=1)


def differentiate(encoder, compute):
    """Returns vectors and the gradients of a sum that weighs every number of them differently."""

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            vectors = compute()
            weights = tf.sin(tf.range(tf.cast(tf.size(vectors), tf.float32)))
            total = tf.reduce_sum(vectors * tf.reshape(weights, [-1, SHAPE.width]))
        return vectors, [tf.convert_to_tensor(g) for g in tape.gradient(total, encoder.trainable_variables)]

    return run()


def test_every_row_is_in_one_chunk_with_rows_of_its_bucket():
    lengths = np.random.default_rng(1).integers(1, 34, 200)
    plan = plan_chunks(tf.constant(lengths), WIDTHS, 64)
    assert sorted(plan.order.numpy()) == list(range(200))
    chunks = np.split(lengths[plan.order.numpy()], plan.starts.numpy()[1:-1])
    assert len(chunks) == len(plan.widths)
    for chunk, width in zip(chunks, plan.widths.numpy(), strict=True):
        assert max(chunk) == width and width * len(chunk) <= 64
        assert len(set(np.searchsorted(WIDTHS, chunk))) == 1
    full = [len(chunk) == 64 // max(chunk) for chunk in chunks]
    assert full.count(False) <= len(WIDTHS)


def test_a_row_longer_than_the_budget_is_a_chunk_of_its_own():
    plan = plan_chunks(tf.constant([5, 30, 30], tf.int64), WIDTHS, 10)
    assert plan.starts.numpy().tolist() == [0, 1, 2, 3]
    assert plan.widths.numpy().tolist() == [30, 30, 5]


@pytest.mark.parametrize("rows", [0, 1, 40])
def test_chunks_give_the_vectors_and_gradients_of_one_piece(encoder, rows):
    tokens = build_rows(rows)
    whole = differentiate(encoder, lambda: encode_rows(encoder, tokens, WIDTHS, SEED, None))
    parts = differentiate(encoder, lambda: encode_rows(encoder, tokens, WIDTHS, SEED, None, max_tokens=48))
    tf.nest.map_structure(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5, rtol=1e-5), whole, parts)


def test_both_passes_see_the_same_dropout(encoder):
    tokens = build_rows(12)
    plan = plan_chunks(tokens.row_lengths(), WIDTHS, 48)
    starts, order = plan.starts.numpy(), plan.order.numpy()
    assert len(starts) > 4

    def encode_plainly():
        vectors = []
        for chunk, width in enumerate(plan.widths.numpy()):
            dense = tf.gather(tokens, order[starts[chunk] : starts[chunk + 1]]).to_tensor(1, shape=[None, width])
            vectors.append(encoder.encode_first_tokens([dense], tf.random.fold_in(SEED, chunk), training=True))
        return tf.gather(tf.concat(vectors, axis=0), np.argsort(order))

    plain = differentiate(encoder, encode_plainly)
    chunked = differentiate(encoder, lambda: encode_rows(encoder, tokens, WIDTHS, SEED, True, max_tokens=48))
    tf.nest.map_structure(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5, rtol=1e-5), plain, chunked)
    without = encode_rows(encoder, tokens, WIDTHS, SEED, False, max_tokens=48)
    assert np.abs(chunked[0] - without).max() > 0.1


@pytest.mark.parametrize("widths", [(), (8,), (8, 16), (8, 16, 24, 32, 40, 48)])
def test_what_follows_the_encoder_drops_by_a_seed_of_its_own(encoder, widths):
    seed = tf.constant([3, 4])
    taken = {tuple(tf.random.fold_in(seed, n).numpy()) for n in (*range(encoder.shape.layers + 1), *range(len(widths)))}
    assert tuple(fold_head_seed(encoder, widths, seed).numpy()) not in taken
