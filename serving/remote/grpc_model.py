"""One model behind TensorFlow Serving's gRPC API, asked through the official stubs.

They need TensorFlow's own protos, hence TensorFlow, which takes seconds to import: import this module only for gRPC.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.framework.types_pb2 import DataType
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, SignatureDefMap
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from .errors import HTTP_STATUSES, LostError, RankingError, RefusedError, call_with_retries

GZIP_FROM_BYTES = 1400
"""Smaller messages fit into one packet anyway."""

_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),  # a ranker is asked within the shop's own network
    # By default a channel tries again after up to two minutes, however soon the server is back
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A connection to a host that is gone is found out, and made anew
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    # Where a name has several addresses, all are asked in turn
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
]


class GRPCModel:
    """Asks one model over one channel. Thread-safe."""

    def __init__(
        self, url: str, model: str, version: int | None, label: str | None, timeout_seconds: float, retries: int
    ):
        """Makes the channel; nothing is sent yet. Arguments as of `open_model`, `url` as grpc://HOST:PORT."""
        self.place = f"{url.rstrip('/')} ({model})"
        self._channel = grpc.insecure_channel(url.removeprefix("grpc://").rstrip("/"), options=_OPTIONS)
        self._stub = PredictionServiceStub(self._channel)
        self._spec = ModelSpec(name=model, version_label=label or "")
        if version is not None:
            self._spec.version.value = version
        self._timeout_seconds = timeout_seconds
        self._retries = retries
        self._signatures: dict[str, dict[str, str]] = {}

    def read_signatures(self) -> dict[str, dict[str, str]]:
        """Returns the dtype of each input (`DT_STRING`, ...) by signature and input name, asked anew at each call.

        Raises:
            RankingError: as `predict`.
        """
        request = GetModelMetadataRequest(model_spec=self._spec, metadata_field=["signature_def"])
        answer = self._call(self._stub.GetModelMetadata, request)
        signatures = SignatureDefMap()
        answer.metadata["signature_def"].Unpack(signatures)
        self._signatures = {
            name: {key: DataType.Name(info.dtype) for key, info in signature.inputs.items()}
            for name, signature in signatures.signature_def.items()
        }
        return self._signatures

    def predict(self, signature_name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the outputs of a signature by name, as nested lists; bytes as text.

        Args:
            signature_name: the signature.
            inputs: nested lists by input name; bytes are `{"b64": ...}`.

        Raises:
            LostError: if the server cannot be reached.
            RefusedError: if it answers an error.
            RankingError: if it does not answer in time.
        """
        dtypes = (self._signatures or self.read_signatures()).get(signature_name, {})
        tensors = {name: build_tensor(value, dtypes.get(name, "DT_STRING")) for name, value in inputs.items()}
        request = PredictRequest(model_spec=self._spec, inputs=tensors)
        request.model_spec.signature_name = signature_name
        answer = self._call(self._stub.Predict, request)
        return {name: _decode(tf.make_ndarray(tensor).tolist()) for name, tensor in answer.outputs.items()}

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def _call(self, method: grpc.UnaryUnaryMultiCallable, request: Any) -> Any:
        return call_with_retries(lambda: self._call_once(method, request), self._retries)

    def _call_once(self, method: grpc.UnaryUnaryMultiCallable, request: Any) -> Any:
        is_large = request.ByteSize() >= GZIP_FROM_BYTES
        compression = grpc.Compression.Gzip if is_large else grpc.Compression.NoCompression
        try:
            return method(request, timeout=self._timeout_seconds, compression=compression)
        except grpc.RpcError as error:
            code = error.code()
            is_full = "queue" in (error.details() or "")  # of a server that runs and refuses
            if code == grpc.StatusCode.UNAVAILABLE and not is_full:
                message = f"{self.place} cannot be reached: {error.details()}. Is the server running?"
                raise LostError(message) from None
            if code == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise RankingError(f"{self.place} did not answer within {self._timeout_seconds} seconds.") from None
            message = f"{self.place} answered {code.name}: {error.details()}"
            raise RefusedError(message, HTTP_STATUSES.get(code.name, 500)) from None


def build_tensor(value: Any, dtype: str) -> TensorProto:
    """Returns nested lists as a tensor of `dtype` ("DT_STRING"); text becomes UTF-8, `{"b64": ...}` its bytes."""
    kind = tf.as_dtype(DataType.Value(dtype))
    if kind == tf.string:
        return tf.make_tensor_proto(np.array(_encode(value), dtype=object), dtype=kind)
    return tf.make_tensor_proto(np.array(value, dtype=kind.as_numpy_dtype))


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _encode(value: Any) -> Any:
    if isinstance(value, list):
        return [_encode(item) for item in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else str(value).encode("utf-8", "replace")
