"""The requests that a server answers for itself when it loads a version, so that no visitor waits for the first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tfr_listbert.config import require
from tfr_listbert.export.reload import build_array
from tfr_listbert.export.requests import RequestBuilder, ServedRequest
from tfr_listbert.export.signatures import ROW_SIGNATURES, Inputs

WARMUP_FILE = "tf_serving_warmup_requests"
"""Name that TensorFlow Serving looks for in `assets.extra`."""

MAX_BATCH_SIZE = 8
"""Largest dim 0 of what a server with batching runs at once. It refuses a request with more, and hence a version whose
warm-up asks for more."""

MAX_REQUESTS = 1000
"""A server refuses a version with more."""


def build_warmup_requests(builder: RequestBuilder, list_lengths: Sequence[int]) -> list[ServedRequest]:
    """Returns a request of every signature for each length of a list, short ones first; of rows at most
    MAX_BATCH_SIZE.

    Raises:
        InputError: if there are more than servers take.
    """
    names = builder.signatures
    asked = {
        (min(length, MAX_BATCH_SIZE) if name in ROW_SIGNATURES else length, place)
        for length in list_lengths
        for place, name in enumerate(names)
    }
    rule = f"must make at most {MAX_REQUESTS} warm-up requests, of {len(names)} signatures for each length"
    require(len(asked) <= MAX_REQUESTS, "export.warmup_lists", rule, len(asked))
    return [
        builder.ask(f"{names[place]}: warm-up {length}", names[place], [builder.build_list(length)])
        for length, place in sorted(asked)
    ]


def write_warmup_file(
    path: str | Path, model: str, requests: Iterable[ServedRequest], inputs: Mapping[str, Inputs]
) -> None:
    """Writes requests as a TFRecord of PredictionLog.

    Args:
        path: the file.
        model: name of the model.
        requests: what to ask.
        inputs: of each signature, for their types.
    """
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            log = PredictionLog()
            log.predict_log.request.CopyFrom(_build_proto(model, request, inputs[request.signature_name]))
            writer.write(log.SerializeToString(deterministic=True))


def _build_proto(model: str, request: ServedRequest, inputs: Inputs) -> PredictRequest:
    proto = PredictRequest()
    proto.model_spec.name = model
    proto.model_spec.signature_name = request.signature_name
    for name, value in request.inputs.items():
        dtype = inputs[name].dtype
        proto.inputs[name].CopyFrom(tf.make_tensor_proto(build_array(value, dtype), dtype))
    return proto
