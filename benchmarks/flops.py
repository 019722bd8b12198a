"""Useful floating-point work of the encoder, and the most that this machine's matrix product does."""

from __future__ import annotations

import time

import numpy as np
import tensorflow as tf

from tfr_listbert.encoders.roberta import RobertaShape

_SIDE = 2048


def count_forward_flops(lengths: np.ndarray, shape: RobertaShape) -> float:
    """Returns the work of the matrix products for rows of `lengths` tokens: no padding, the last layer's first token.

    A multiplication and an addition count as two. Training takes three times as much.
    """
    tokens, rows, squares = float(lengths.sum()), len(lengths), float(np.square(lengths.astype(float)).sum())
    projection, feed_forward = shape.width**2, 2 * shape.width * shape.inner_width
    whole_layer = 2 * tokens * (4 * projection + feed_forward) + 4 * squares * shape.width
    last_layer = 2 * tokens * 2 * projection + 2 * rows * (2 * projection + feed_forward) + 4 * tokens * shape.width
    return (shape.layers - 1) * whole_layer + last_layer


def measure_peak(repeats: int = 8) -> float:
    """Returns the floating-point operations per second of a product of two large matrices, the best of `repeats`."""
    matrix = tf.random.normal([_SIDE, _SIDE])
    multiply = tf.function(tf.matmul)
    multiply(matrix, matrix)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        multiply(matrix, matrix)
        times.append(time.perf_counter() - started)
    return 2 * _SIDE**3 / min(times)
