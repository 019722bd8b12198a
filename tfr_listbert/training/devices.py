"""Precision and distribution strategy, checked against what the machine has."""

from __future__ import annotations

import warnings
from pathlib import Path

import tensorflow as tf

from tfr_listbert.schema import InputError


def set_precision(precision: str) -> None:
    """Sets the Keras policy of all layers built from here on.

    Raises:
        InputError: for `mixed_float16` without a GPU, where it is 150 times slower than float32.
    """
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    if precision == "mixed_float16" and not has_gpu:
        raise InputError(
            "`train.precision` must not be mixed_float16 without a GPU (on a CPU it is 150 times slower than float32), "
            "got mixed_float16 and no GPU; set float32."
        )
    if precision == "mixed_bfloat16" and not has_gpu and not _has_amx():
        warnings.warn("`train.precision` mixed_bfloat16 is no faster than float32 on this CPU (no AMX).", stacklevel=2)
    tf.keras.mixed_precision.set_global_policy(precision)


def _has_amx() -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "amx_bf16" in cpuinfo.read_text()


def build_strategy(name: str) -> tf.distribute.Strategy:
    """Returns the `tf.distribute` strategy called `default` or `mirrored`."""
    if name == "default":
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])
