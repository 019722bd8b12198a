"""Replays a version's warm-up requests, as TensorFlow Serving does before it serves the version."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from .tensors import read_tensor
from .values import invalid

LOGGER = logging.getLogger("serving.local")

WARMUP_PATH = Path("assets.extra") / "tf_serving_warmup_requests"

MAX_RECORDS = 1000
"""TensorFlow Serving refuses a version with more."""

Predict = Callable[[str, Mapping[str, np.ndarray]], object]


def warm_up(folder: Path, predict: Predict) -> int:
    """Asks `predict(signature_name, inputs)` every request of a version's warm-up file, and returns their number.

    Raises:
        OpError: if the file cannot be read, a record is no PredictionLog of a Predict call, or a request fails.
    """
    path = folder / WARMUP_PATH
    if not path.is_file():
        return 0
    count = 0
    for record in tf.compat.v1.io.tf_record_iterator(str(path)):
        count += 1
        if count > MAX_RECORDS:
            raise invalid(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) in {path}")
        _replay(record, predict, f"Warm-up record {count} in {path}")
    LOGGER.info("Warmed up with %d requests of %s.", count, path)
    return count


def _replay(record: bytes, predict: Predict, place: str) -> None:
    try:
        log = PredictionLog.FromString(record)
    except DecodeError:
        raise invalid(f"{place}: Failed to parse warmup record") from None
    kind = log.WhichOneof("log_type")
    if kind != "predict_log":
        raise tf.errors.UnimplementedError(None, None, f"{place}: unsupported log_type for warmup: {kind}")
    request = log.predict_log.request
    try:
        inputs = {name: read_tensor(name, tensor) for name, tensor in request.inputs.items()}
        predict(request.model_spec.signature_name or "serving_default", inputs)
    except tf.errors.OpError as error:
        raise type(error)(None, None, f"{place}: {error.message}") from None
