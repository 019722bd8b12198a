"""Every random choice of a run as a function of its seed and step, and a graph that adds up in one order."""

from __future__ import annotations

import tensorflow as tf


def make_repeatable(seed: int) -> None:
    """Makes this process compute the same numbers each time.

    Seeds what draws from a global state (initial weights), and switches off the graph rewriter: its memory pass turns
    the sum of a weight's gradients from several row widths into an accumulator that adds them in the order in which
    they arrive. With it 13 of 15 repeated steps of `mini` differed in a weight's gradient, without it none of 75; the
    step's time was the same within noise (0.51 s and 0.52 s). `enable_op_determinism` does not mend this on a CPU.
    """
    tf.keras.utils.set_random_seed(seed)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def build_step_seed(run_seed: int, step: tf.Tensor, replica: tf.Tensor | int = 0) -> tf.Tensor:
    """Returns the seed [2] int32 of one step on one replica, from which dropout masks and a loss's noise are drawn."""
    seed = tf.stack([tf.constant(run_seed, tf.int32), tf.cast(step, tf.int32)])
    return tf.random.fold_in(seed, replica)
