"""A loss and its gradient a few lists at a time: memory for a micro-batch of lists, the same sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

ListLosses = Callable[[Mapping[str, tf.Tensor], tf.Tensor, tf.Tensor], tf.Tensor]
"""(lists, scores [B, L], seed [2]) to the loss of each list [B]."""


def sum_in_micro_batches(
    loss: ListLosses, lists: Mapping[str, tf.Tensor], scores: tf.Tensor, seed: tf.Tensor, micro_batch_lists: int
) -> tf.Tensor:
    """Returns the loss summed over all lists, float32 []; its gradient with respect to `scores` is computed with it.

    A list's loss depends neither on its neighbours nor on its padding, so the parts add up to the whole. Of each
    micro-batch only slots up to its own longest list are computed, and only its gradient is kept.

    Args:
        loss: the loss.
        lists: what it reads, `mask` among it, by name, each [B, L].
        scores: float32 [B, L].
        seed: [2] int32.
        micro_batch_lists: lists computed at once.
    """

    @tf.custom_gradient
    def compute(scores: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def add(first: tf.Tensor, total: tf.Tensor, gradients: tf.TensorArray) -> tuple:
            part = slice(first, first + micro_batch_lists)
            slots = _count_slots(lists["mask"][part])
            own = {name: values[part, :slots] for name, values in lists.items()}
            value, gradient = _differentiate(loss, own, scores[part, :slots], seed)
            gradient = tf.pad(gradient, [[0, 0], [0, tf.shape(scores)[1] - slots]])
            place = first // micro_batch_lists
            return first + micro_batch_lists, total + value, gradients.write(place, tf.reshape(gradient, [-1]))

        count = tf.shape(scores)[0]
        parts = -(-count // micro_batch_lists)
        empty = tf.TensorArray(tf.float32, parts, element_shape=[None], infer_shape=False)
        start = (0, 0.0, empty)
        _, total, gradients = tf.while_loop(lambda first, *_: first < count, add, start, parallel_iterations=1)
        gradient = tf.reshape(gradients.concat(), tf.shape(scores))
        return total, lambda upstream: upstream * gradient

    return compute(scores)


def _count_slots(mask: tf.Tensor) -> tf.Tensor:
    """Returns the slots up to the last document of any list, at least 1; [] int32."""
    slots = tf.where(tf.reduce_any(mask, axis=0))[:, 0]
    return tf.cast(tf.reduce_max(tf.concat([[1], slots + 1], axis=0)), tf.int32)


def _differentiate(
    loss: ListLosses, lists: Mapping[str, tf.Tensor], scores: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch(scores)
        total = tf.reduce_sum(loss(lists, scores, seed))
    return total, tape.gradient(total, scores, unconnected_gradients=tf.UnconnectedGradients.ZERO)
