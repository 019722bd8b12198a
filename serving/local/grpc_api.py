"""TensorFlow Serving's gRPC API over the same models as the REST API, through the official stubs.

Follows `predict_util.cc` and `get_model_status_impl.cc` of TensorFlow Serving 2.15: Predict, GetModelMetadata and
GetModelStatus are answered, all other calls are UNIMPLEMENTED. Known difference: a tensor that would fill more than
`tensors.MAX_ELEMENTS` slots is refused.
"""

from __future__ import annotations

import concurrent.futures
import logging
import time
from collections.abc import Callable
from typing import TypeVar

import grpc
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
from tensorflow_serving.apis.get_model_metadata_pb2 import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    SignatureDefMap,
)
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest, GetModelStatusResponse
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse

from .manager import ModelManager
from .metrics import ServingMetrics
from .tensors import build_tensor, read_tensor
from .values import invalid
from .versions import LoadedVersion

LOGGER = logging.getLogger("serving.local")

THREADS = 64
"""Calls at once; more wait for their turn."""

STOP_SECONDS = 5.0
"""Longest wait for calls in flight when a server stops."""

_CODES = {status.value[0]: status for status in grpc.StatusCode}

Result = TypeVar("Result")


def build_grpc_server(
    manager: ModelManager,
    metrics: ServingMetrics,
    timeout_seconds: float = 30.0,
    max_body_bytes: int | None = None,
) -> grpc.Server:
    """Returns the gRPC server, without a port and not started.

    Args:
        manager: the models, loaded.
        metrics: where calls are counted.
        timeout_seconds: a model that takes longer is answered with DEADLINE_EXCEEDED.
        max_body_bytes: a larger message is answered with RESOURCE_EXHAUSTED; no limit when None, as in the real server.
    """
    limit = -1 if max_body_bytes is None else max_body_bytes
    options = [
        ("grpc.max_receive_message_length", limit),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),
    ]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(THREADS, "grpc"), options=options)
    service = PredictionService(manager, metrics, timeout_seconds)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(manager), server)
    return server


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """The service's methods; called by gRPC in threads."""

    def __init__(self, manager: ModelManager, metrics: ServingMetrics, timeout_seconds: float):
        """Makes the service over a manager's models."""
        self._manager = manager
        self._metrics = metrics
        self._timeout_seconds = timeout_seconds

    def Predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:  # noqa: N802
        """Answers a Predict call; fails with the status that the model or the contract gives."""
        start = time.perf_counter()
        remaining = context.time_remaining()
        timeout = self._timeout_seconds if remaining is None else min(self._timeout_seconds, remaining)
        code = "OK"
        try:
            return _answer(context, lambda: self._predict(request, timeout))
        except Exception:
            code = context.code().name
            raise
        finally:
            self._metrics.record(request.model_spec.name, "Predict", "GRPC", code, time.perf_counter() - start)

    def GetModelMetadata(  # noqa: N802
        self, request: GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> GetModelMetadataResponse:
        """Answers with the signatures of a version."""
        return _answer(context, lambda: self._describe(request))

    def _predict(self, request: PredictRequest, timeout_seconds: float) -> PredictResponse:
        with self._manager.use(*_parse_spec(request.model_spec)) as version:
            name = request.model_spec.signature_name or "serving_default"
            if name not in version.signatures:
                message = f'Serving signature key "{name}" not found.'
                raise tf.errors.FailedPreconditionError(None, None, message)
            wanted = _check_names(request, version.signatures[name])
            inputs = {key: read_tensor(key, tensor) for key, tensor in request.inputs.items()}
            outputs = version.predict(name, inputs, timeout_seconds)
            response = PredictResponse(outputs={key: build_tensor(outputs[key]) for key in wanted})
            response.model_spec.CopyFrom(_build_spec(request.model_spec.name, version, name))
        return response

    def _describe(self, request: GetModelMetadataRequest) -> GetModelMetadataResponse:
        if list(request.metadata_field) != ["signature_def"]:
            raise invalid(f"Metadata field {list(request.metadata_field)} is not supported")
        with self._manager.use(*_parse_spec(request.model_spec)) as version:
            signatures = SignatureDefMap()
            for name, signature in version.signatures.items():
                signatures.signature_def[name].CopyFrom(signature)
            response = GetModelMetadataResponse(model_spec=_build_spec(request.model_spec.name, version, ""))
        response.metadata["signature_def"].Pack(signatures)
        return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Says which versions there are; called by gRPC in threads."""

    def __init__(self, manager: ModelManager):
        """Makes the service over a manager's models."""
        self._manager = manager

    def GetModelStatus(  # noqa: N802
        self, request: GetModelStatusRequest, context: grpc.ServicerContext
    ) -> GetModelStatusResponse:
        """Answers with the state of a version, or of all; does not read labels."""
        return _answer(context, lambda: self._describe(request))

    def _describe(self, request: GetModelStatusRequest) -> GetModelStatusResponse:
        name, version, _ = _parse_spec(request.model_spec)
        return GetModelStatusResponse(model_version_status=self._manager.statuses(name, version))


def _answer(context: grpc.ServicerContext, call: Callable[[], Result]) -> Result:
    try:
        return call()
    except tf.errors.OpError as error:
        context.abort(_CODES[error.error_code], error.message)
    except Exception as error:  # a fault of this server; the client gets a status and the log the trace
        LOGGER.exception("A gRPC call failed")
        context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")


def _parse_spec(spec: ModelSpec) -> tuple[str, int | None, str | None]:
    if not spec.name:
        raise invalid("Missing ModelSpec")
    version = spec.version.value if spec.HasField("version") else None
    return spec.name, version, spec.version_label or None


def _build_spec(name: str, version: LoadedVersion, signature_name: str) -> ModelSpec:
    spec = ModelSpec(name=name, signature_name=signature_name)
    spec.version.value = version.number
    return spec


def _check_names(request: PredictRequest, signature: SignatureDef) -> list[str]:
    """Returns the outputs to fetch."""
    sent, expected = set(request.inputs), set(signature.inputs)
    if sent != expected:
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(expected)}. Sent extra: "
            f"{{{','.join(sorted(sent - expected))}}}. Missing but required: {{{','.join(sorted(expected - sent))}}}."
        )
    wanted = list(request.output_filter)
    for name in wanted:
        if name not in signature.outputs:
            known = ",".join(sorted(signature.outputs))
            raise invalid(f"output tensor alias not found in signature: {name} Outputs expected to be in {{{known}}}.")
    if len(set(wanted)) < len(wanted):
        raise invalid(f"duplicate output tensor alias among {wanted}")
    return wanted or list(signature.outputs)
