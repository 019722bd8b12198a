"""Useful floating-point work of the encoder, and the most that this machine's matrix product does.

Usage: python -m benchmarks.flops
Answers each line of its input by the floating-point operations per second of a matrix product, as a JSON object.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from benchmarks.peers import start_peer
from tfr_listbert.encoders.shapes import RobertaShape

_SIDE = 2048
_REPEATS = 8


def count_forward_flops(lengths: np.ndarray, shape: RobertaShape) -> float:
    """Returns the work of the matrix products for rows of `lengths` tokens: no padding, the last layer's first token.

    A multiplication and an addition count as two. Training takes three times as much.
    """
    tokens, rows, squares = float(lengths.sum()), len(lengths), float(np.square(lengths.astype(float)).sum())
    projection, feed_forward = shape.width**2, 2 * shape.width * shape.inner_width
    whole_layer = 2 * tokens * (4 * projection + feed_forward) + 4 * squares * shape.width
    last_layer = 2 * tokens * 2 * projection + 2 * rows * (2 * projection + feed_forward) + 4 * tokens * shape.width
    return (shape.layers - 1) * whole_layer + last_layer


def start_peak_meter(stack: contextlib.ExitStack) -> Callable[[], float]:
    """Returns a function that measures the peak of the matrix product, with oneDNN's kernels and without; the higher.

    Each is measured in a process of its own, since TensorFlow reads the switch once; both end with `stack`.
    """
    command = [sys.executable, "-m", "benchmarks.flops"]
    meters = [start_peer(command, stack, {"TF_ENABLE_ONEDNN_OPTS": switch}) for switch in ("0", "1")]
    return lambda: max(meter("peak")["flops"] for meter in meters)


def share_of_peak(work: list[float], peaks: list[float]) -> list[float]:
    """Returns the share of the peak of each round's `work` per second; `peaks` are those before and after each.

    >>> share_of_peak([50.0, 60.0], [80.0, 100.0, 75.0])
    [0.5, 0.6]
    """
    return [done / max(pair) for done, pair in zip(work, itertools.pairwise(peaks), strict=True)]


def _measure_peak(multiply: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], matrix: tf.Tensor) -> float:
    times = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        multiply(matrix, matrix)
        times.append(time.perf_counter() - started)
    return 2 * _SIDE**3 / min(times)


def main() -> None:
    """Answers what a benchmark asks."""
    multiply, matrix = tf.function(tf.matmul), tf.random.normal([_SIDE, _SIDE])
    multiply(matrix, matrix)
    for _ in sys.stdin:
        print(json.dumps({"flops": _measure_peak(multiply, matrix)}), flush=True)


if __name__ == "__main__":
    main()
