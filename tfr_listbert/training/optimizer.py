"""AdamW with linear warm-up and decay."""

from __future__ import annotations

import tensorflow as tf
from official.modeling.optimization.lr_schedule import LinearWarmup

from tfr_listbert.config import TrainConfig

WITHOUT_DECAY = ("bias", "gamma", "beta")
"""Weights that are not decayed, as parts of their names: biases and LayerNorm."""


def build_learning_rate(
    peak: float, steps: int, warmup_rate: float
) -> tf.keras.optimizers.schedules.LearningRateSchedule:
    """Returns the schedule: from 0 up over `warmup_rate` of all steps, then on the line from `peak` to 0 at the end.

    That line begins at the first step, as in Model Garden, so that the highest rate is (1 - `warmup_rate`) · `peak`.
    """
    decay = tf.keras.optimizers.schedules.PolynomialDecay(peak, steps, end_learning_rate=0.0)
    # The first step of a warm-up has the rate 0, so a run's last step is never part of one
    warmup_steps = min(max(1, round(warmup_rate * steps)), steps - 1) if warmup_rate else 0
    return LinearWarmup(decay, warmup_steps, warmup_learning_rate=0.0) if warmup_steps else decay


def build_optimizer(config: TrainConfig, steps: int) -> tf.keras.optimizers.Optimizer:
    """Returns AdamW over `steps` steps; with loss scaling where the precision is `mixed_float16`."""
    optimizer = tf.keras.optimizers.AdamW(
        build_learning_rate(config.learning_rate, steps, config.warmup_rate),
        weight_decay=config.weight_decay,
        beta_2=0.98,  # RoBERTa's, section 3.1; 0.999 is less stable with short runs
        epsilon=1e-6,
    )
    optimizer.exclude_from_weight_decay(var_names=list(WITHOUT_DECAY))
    if config.precision == "mixed_float16":
        return tf.keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer
