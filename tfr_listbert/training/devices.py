"""Precision and distribution strategy, checked against what the machine has."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from tfr_listbert.schema import InputError

_CHIEF_SECONDS = 4 * 3600


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
    """Returns the `tf.distribute` strategy called `default`, `mirrored` or `multi_worker`.

    The last one must be built before TensorFlow has made any device ready.

    Raises:
        InputError: for `multi_worker` without workers in `TF_CONFIG`.
    """
    if name == "multi_worker":
        try:
            cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
            workers, others = cluster.get("worker", []), sorted({*cluster} - {"worker"})
        except (ValueError, AttributeError) as error:
            raise InputError(f"`train.strategy` multi_worker reads TF_CONFIG, which is not valid: {error}.") from None
        if others:
            raise InputError(
                "`train.strategy` multi_worker needs TF_CONFIG to name workers alone, of which the first is the chief, "
                f"got {', '.join(others)} as well."
            )
        if len(workers) < 2:
            raise InputError("`train.strategy` multi_worker needs TF_CONFIG to name 2 workers or more; set it.")
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "default":
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Says whether this process is the one, of all workers, that writes the run folder."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.cluster_spec().as_dict() or resolver.task_id == 0


def wait_for_chief(run: str | Path, strategy: tf.distribute.Strategy) -> None:
    """Waits in all workers but the chief until the chief has made the run folder, for which it reads all texts.

    Raises:
        InputError: if it has not by then.
    """
    end = time.monotonic() + _CHIEF_SECONDS
    while not is_chief(strategy) and not (Path(run) / "config.yaml").exists():
        if time.monotonic() > end:
            raise InputError(
                f"The first worker has not made {run} within {_CHIEF_SECONDS} seconds: start it, and give all "
                "workers the same folder."
            )
        time.sleep(0.1)


def share_steps(
    strategy: tf.distribute.Strategy, build: Callable[[int, range | None], tf.data.Dataset]
) -> Callable[[int], tf.data.Dataset | tf.distribute.DistributedDataset]:
    """Returns what gives the steps of training from a first one on, each worker its own replicas' parts.

    Args:
        strategy: the replicas.
        build: from the first step and the replicas whose parts are wanted, None for all, to a dataset.
    """

    def source(first_step: int) -> tf.data.Dataset | tf.distribute.DistributedDataset:
        if strategy.num_replicas_in_sync == 1:
            return build(first_step, None)

        def build_part(context: tf.distribute.InputContext) -> tf.data.Dataset:
            count = strategy.num_replicas_in_sync // context.num_input_pipelines
            return build(first_step, range(count * context.input_pipeline_id, count * (context.input_pipeline_id + 1)))

        return strategy.distribute_datasets_from_function(build_part)

    return source
