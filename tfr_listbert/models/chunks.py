"""A sum over chunks of a batch, of which one is in memory at a time; computed once more for the gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf


def sum_chunks(compute: Callable[[tf.Tensor], tf.Tensor], chunks: tf.Tensor) -> tf.Tensor:
    """Returns the sum of `compute(chunk)` over the chunks 0, 1, ..., float32 [].

    Of no chunk activations are kept: for the gradient it is computed again, so `compute` must give the same twice.

    Args:
        compute: the number of a chunk, [] int32, to its part of the sum, float32 [].
        chunks: [] int32, how many there are.
    """

    @tf.custom_gradient
    def add_all(chunks: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tuple]]:
        def backward(upstream: tf.Tensor, variables: Sequence[tf.Variable] = ()) -> tuple[None, list[tf.Tensor]]:
            def differentiate(chunk: tf.Tensor) -> list[tf.Tensor]:
                with tf.GradientTape() as tape:
                    part = compute(chunk)
                return tape.gradient(part, variables, upstream, tf.UnconnectedGradients.ZERO)

            return None, sum_gradients(differentiate, chunks, variables)

        def add(chunk: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return chunk + 1, total + compute(chunk)

        return tf.while_loop(lambda chunk, _: chunk < chunks, add, (0, 0.0), parallel_iterations=1)[1], backward

    return add_all(chunks)


def sum_gradients(
    differentiate: Callable[[tf.Tensor], list[tf.Tensor]], chunks: tf.Tensor, variables: Sequence[tf.Variable]
) -> list[tf.Tensor]:
    """Returns the sum of the gradients of all chunks, computed one after the other.

    Args:
        differentiate: the number of a chunk, [] int32, to its gradients.
        chunks: [] int32, how many there are.
        variables: with respect to which the gradients are.
    """

    def add(chunk: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
        pairs = zip(sums, differentiate(chunk), strict=True)
        return chunk + 1, *(total + tf.convert_to_tensor(gradient) for total, gradient in pairs)

    zeros = [tf.zeros(variable.shape, variable.dtype) for variable in variables]
    return list(tf.while_loop(lambda chunk, *_: chunk < chunks, add, (0, *zeros), parallel_iterations=1)[1:])
