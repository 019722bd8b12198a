"""How the tests of losses call a loss: compiled once for lists of any shape, answers in numpy."""

import functools
import json

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.losses import build_loss

SAMPLED = ("gumbel_approx_ndcg_loss", "yeti_logistic_loss", "coupled_rankdistil_loss")
"""Losses that are estimated with noise, which the seed decides."""

SIGNATURE = [
    tf.TensorSpec([None, None], tf.float32),
    tf.TensorSpec([None, None], tf.float32),
    tf.TensorSpec([None, None], tf.bool),
    tf.TensorSpec([None, None], tf.int64),
    tf.TensorSpec([2], tf.int32),
    tf.TensorSpec([None, None], tf.float32),
]


def compile_loss(config):
    loss = build_loss(**json.loads(config))

    @tf.function(input_signature=SIGNATURE)
    def losses_and_gradients(labels, scores, mask, keys, seed, weights):
        with tf.GradientTape() as tape:
            tape.watch(scores)
            losses = loss(labels, scores, mask, keys, seed, weights)
        return losses, tape.gradient(losses, scores)

    return losses_and_gradients


@pytest.fixture(scope="session")  # what is compiled must be gone before the interpreter goes
def evaluate():
    """A function that returns the losses [B] and their gradients [B, L] for a key, its options and lists."""
    compiled = functools.cache(compile_loss)

    def evaluate(key, options, labels, scores, mask=None, keys=None, seed=(1, 2), weights=None):
        labels = np.asarray(labels, np.float32)
        mask = np.ones(labels.shape, bool) if mask is None else mask
        keys = np.broadcast_to(np.arange(labels.shape[1]) * 7919, labels.shape) if keys is None else keys
        weights = np.ones(labels.shape) if weights is None else np.broadcast_to(weights, labels.shape)
        function = compiled(json.dumps({"key": key, "options": options}))
        arguments = (labels, scores, mask, keys, seed, weights)
        tensors = [tf.constant(value, spec.dtype) for value, spec in zip(arguments, SIGNATURE, strict=True)]
        return tuple(tensor.numpy() for tensor in function(*tensors))

    return evaluate
