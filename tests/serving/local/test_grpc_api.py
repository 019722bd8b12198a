"""gRPC calls through the official stubs answer as TensorFlow Serving's do, from the same models as REST."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest, ModelVersionStatus
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from serving.contract.requests import MODEL
from serving.local.grpc_api import build_grpc_server
from serving.local.manager import ModelManager
from serving.local.metrics import ServingMetrics
from serving.local.tensors import build_tensor


@pytest.fixture(scope="module")
def metrics():
    return ServingMetrics()


@pytest.fixture(scope="module")
def channel(contract_sources, metrics):
    with ModelManager(contract_sources) as manager:
        server = build_grpc_server(manager, metrics, max_body_bytes=100_000)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
            yield channel
        server.stop(None).wait()


@pytest.fixture(scope="module")
def stub(channel):
    return PredictionServiceStub(channel)


def ask(stub, inputs, signature_name="", outputs=(), model=MODEL, version=None, label=""):
    request = PredictRequest(output_filter=outputs)
    request.model_spec.name = model
    request.model_spec.signature_name = signature_name
    if version is not None:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(value if isinstance(value, TensorProto) else tf.make_tensor_proto(value))
    return stub.Predict(request, timeout=30)


def refuse(stub, *arguments, **options):
    with pytest.raises(grpc.RpcError) as caught:
        ask(stub, *arguments, **options)
    return caught.value.code(), caught.value.details()


X = {"x": np.array([1.0, 3.0], np.float32)}


def test_newest_version_answers_and_names_itself(stub):
    answer = ask(stub, X)
    assert tf.make_ndarray(answer.outputs["y"]).tolist() == [2.5, 3.5]
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == (MODEL, 2, "serving_default")


@pytest.mark.parametrize("choice", [{"version": 1}, {"label": "stable"}])
def test_version_and_label_choose(stub, choice):
    assert tf.make_ndarray(ask(stub, X, **choice).outputs["y"]).tolist() == [1.5, 2.5]


def test_numbers_come_in_the_typed_field_that_clients_of_other_languages_read(stub):
    assert list(ask(stub, X).outputs["y"].float_val) == [2.5, 3.5]


def test_every_type_goes_through(stub):
    inputs = {
        "double": np.array([0.1]),
        "int64": np.array([-(2**63)]),
        "uint8": np.array([255], np.uint8),
        "bool": np.array([True]),
    }
    outputs = ask(stub, inputs, "types").outputs
    for name, value in inputs.items():
        np.testing.assert_array_equal(tf.make_ndarray(outputs[name]), value)
    text = ask(stub, {"text": np.array([b"\xff", b""], object)}, "text").outputs["text"]
    assert list(text.string_val) == [b"\xff", b""]


def test_outputs_can_be_chosen(stub):
    pair = {"a": np.ones([1, 2], np.float32), "b": np.array([3], np.int32)}
    assert list(ask(stub, pair, "pair", outputs=["count"]).outputs) == ["count"]


@pytest.mark.parametrize(
    ("inputs", "options", "code", "message"),
    [
        (X, {"model": "nobody"}, "NOT_FOUND", "Servable not found for request: Latest(nobody)"),
        (X, {"version": 9}, "NOT_FOUND", "Specific(contract, 9)"),
        (X, {"label": "nothing"}, "INVALID_ARGUMENT", "Unrecognized servable version label"),
        (X, {"model": ""}, "INVALID_ARGUMENT", "Missing ModelSpec"),
        (X, {"signature_name": "nothing"}, "FAILED_PRECONDITION", '"nothing" not found'),
        ({}, {}, "INVALID_ARGUMENT", "Missing but required: {x}"),
        ({**X, "z": 1.0}, {}, "INVALID_ARGUMENT", "Sent extra: {z}"),
        (X, {"outputs": ["z"]}, "INVALID_ARGUMENT", "output tensor alias not found in signature: z"),
        (X, {"outputs": ["y", "y"]}, "INVALID_ARGUMENT", "duplicate"),
        ({"x": np.array([[1.0]], np.float32)}, {}, "INVALID_ARGUMENT", ""),
        ({"x": np.array([b"1"], object)}, {}, "INVALID_ARGUMENT", "Expects x to be float but string is provided"),
        ({"x": np.array([1.0])}, {}, "INVALID_ARGUMENT", "Expects x to be float but double is provided"),
        ({"x": np.array([True])}, {}, "INVALID_ARGUMENT", "Expects x to be float but bool is provided"),
        ({"text": np.array([1])}, {"signature_name": "text"}, "INVALID_ARGUMENT", "Expects text to be string but"),
        (
            {"a": np.ones([1, 1], np.float32), "b": np.array([2.7], np.float32)},
            {"signature_name": "pair"},
            "INVALID_ARGUMENT",
            "Expects b to be int32 but float is provided",
        ),
        ({"x": np.array([11.0], np.float32)}, {"signature_name": "picky"}, "INVALID_ARGUMENT", "at most ten"),
        ({"x": np.zeros(50_000, np.float32)}, {}, "RESOURCE_EXHAUSTED", ""),
    ],
)
def test_bad_call_is_refused_with_the_status_of_the_real_server(stub, inputs, options, code, message):
    found, details = refuse(stub, inputs, **options)
    assert found.name == code and message in details


def test_shape_that_would_fill_all_memory_is_refused(stub):
    shape = tf.TensorShape([2**40]).as_proto()
    huge = TensorProto(dtype=tf.float32.as_datatype_enum, tensor_shape=shape, float_val=[1.0])
    code, details = refuse(stub, {"x": huge})
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "tensor parsing error: x" in details


def test_metadata_names_the_inputs(stub):
    request = GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = MODEL
    assert stub.GetModelMetadata(request).model_spec.version.value == 2
    request.metadata_field[:] = ["weights"]
    with pytest.raises(grpc.RpcError, match="not supported"):
        stub.GetModelMetadata(request)


def test_status_names_the_versions_and_their_state(channel):
    def ask_status(model=MODEL, version=None):
        request = GetModelStatusRequest()
        request.model_spec.name = model
        if version is not None:
            request.model_spec.version.value = version
        answer = ModelServiceStub(channel).GetModelStatus(request)
        return {status.version: status.state for status in answer.model_version_status}

    assert list(ask_status().items()) == [(2, ModelVersionStatus.AVAILABLE), (1, ModelVersionStatus.AVAILABLE)]
    assert ask_status(version=1) == {1: ModelVersionStatus.AVAILABLE}
    for model, version, message in [
        ("nobody", None, "Could not find any versions of model nobody"),
        (MODEL, 9, "Could not find version 9 of model contract"),
    ]:
        with pytest.raises(grpc.RpcError, match=message) as caught:
            ask_status(model, version)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_other_calls_are_unimplemented(stub):
    with pytest.raises(grpc.RpcError) as caught:
        stub.Classify(ClassificationRequest())
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_calls_are_counted_with_their_status(stub, metrics):
    ask(stub, X)
    refuse(stub, {}, model="counted")
    page = metrics.format_page().decode()
    assert ':tensorflow:serving:request_count{model_name="counted",status="NOT_FOUND"} 1.0' in page
    assert 'API="Predict",entrypoint="GRPC"' in page


def test_type_without_a_field_of_its_own_survives():
    array = np.array([1, 2], np.uint16)
    np.testing.assert_array_equal(tf.make_ndarray(build_tensor(array)), array)
