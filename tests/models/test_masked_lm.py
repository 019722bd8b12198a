"""Tests of the masked-LM head by hand; tests/encoders/test_hugging_face.py holds it against the reference."""

import math

import numpy as np
import tensorflow as tf

from tfr_listbert.encoders.roberta import RobertaEncoder
from tfr_listbert.encoders.shapes import RobertaShape
from tfr_listbert.models.masked_lm import MaskedLM, MLMHead


def test_logits_by_hand():
    head = MLMHead(vocabulary_size=3, width=2)
    head.dense.kernel.assign(tf.eye(2))
    head.norm.gamma.assign([2.0, 2.0])
    head.norm.beta.assign([0.0, 1.0])
    head.bias.assign([0.5, 0.0, 0.0])
    # gelu(1) > gelu(-1), so the norm makes them 1 and -1, up to its epsilon; then 2 and -1; then rows of the table.
    first, second = (value * (1 + math.erf(value / math.sqrt(2))) / 2 for value in (1.0, -1.0))
    spread = (first - second) / 2 / math.sqrt(((first - second) / 2) ** 2 + 1e-5)
    table = np.float32([[1, 0], [0, 1], [1, 1]])
    expected = [2 * spread + 0.5, 1 - 2 * spread, 1.0]
    np.testing.assert_allclose(head(tf.constant([[1.0, -1.0]]), tf.constant(table)), [expected], atol=1e-5)


def test_the_table_of_the_encoder_is_no_weight_of_the_head():
    head = MLMHead(vocabulary_size=5, width=4)
    assert sorted(tuple(weight.shape) for weight in head.trainable_weights) == [(4,), (4,), (4,), (4, 4), (5,)]
    with tf.GradientTape() as tape:
        table = tf.Variable(tf.ones([5, 4]))
        loss = tf.reduce_sum(head(tf.constant([[1.0, 2.0, 3.0, 4.0]]), table) * [1.0, 2.0, 3.0, 4.0, 5.0])
    gradients = tape.gradient(loss, [table, *head.trainable_weights])
    assert all(gradient is not None for gradient in gradients)


def test_masked_tokens_alone_go_through_the_head_row_by_row():
    encoder = RobertaEncoder(20, RobertaShape(layers=2, heads=2, width=8, inner_width=16, positions=16))
    head = MLMHead(20, 8)
    tokens = tf.constant([[0, 5, 6, 7, 2], [0, 8, 2, 1, 1], [0, 9, 10, 2, 1]])
    is_masked = tf.constant([[0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]]) > 0
    every = head(tf.reshape(encoder(tokens), [-1, 8]), encoder.token_embedding)
    got = MaskedLM(encoder, head)(tokens, is_masked)
    np.testing.assert_allclose(got, tf.boolean_mask(every, tf.reshape(is_masked, [-1])), atol=1e-5)
    assert MaskedLM(encoder, head)(tokens, tf.zeros_like(is_masked)).shape == (0, 20)
    assert MaskedLM(encoder, head)(tokens[:0], is_masked[:0]).shape == (0, 20)
