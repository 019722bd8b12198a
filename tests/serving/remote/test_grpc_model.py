"""The gRPC client tries again what another attempt may mend, and nothing else."""

import concurrent.futures
import contextlib
import threading

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataResponse, SignatureDefMap
from tensorflow_serving.apis.predict_pb2 import PredictResponse
from tensorflow_serving.apis.prediction_service_pb2_grpc import (
    PredictionServiceServicer,
    add_PredictionServiceServicer_to_server,
)

from serving.remote.errors import LostError, RankingError, RefusedError
from serving.remote.ranking import open_model


class ScriptedService(PredictionServiceServicer):
    """Answers Predict calls as scripted: the name of a status, or "late" not to."""

    def __init__(self):
        self.script = []
        self.is_over = threading.Event()
        self.inputs = ["x"]

    def GetModelMetadata(self, request, context):  # noqa: N802
        signatures = SignatureDefMap()
        for name in self.inputs:
            signatures.signature_def["rank"].inputs[name].dtype = tf.float32.as_datatype_enum
        response = GetModelMetadataResponse()
        response.metadata["signature_def"].Pack(signatures)
        return response

    def Predict(self, request, context):  # noqa: N802
        status = self.script.pop(0)
        if status == "late":
            self.is_over.wait(10)
        elif status != "OK":
            context.abort(grpc.StatusCode[status], "as scripted")
        outputs = {"y": tf.make_ndarray(request.inputs["x"]) + 1, "text": "grün"}
        return PredictResponse(outputs={name: tf.make_tensor_proto(value) for name, value in outputs.items()})


@pytest.fixture
def ask():
    """Asks a server that answers as scripted; returns the answer and what is left of the script."""
    service = ScriptedService()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    add_PredictionServiceServicer_to_server(service, server)
    url = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()

    def call(*script, **options):
        service.script[:] = script
        with contextlib.closing(open_model(url, "m", **options)) as model:
            return model.predict("rank", {"x": [1.0]})

    call.service, call.url = service, url
    yield call
    service.is_over.set()
    server.stop(None).wait()


def test_overload_and_lost_connections_are_tried_again_with_longer_waits(ask, waits):
    assert ask("UNAVAILABLE", "RESOURCE_EXHAUSTED", "OK") == {"y": [2.0], "text": "grün"}  # text as over REST
    assert ask.service.script == []
    assert all(low <= wait <= 2 * low for wait, low in zip(waits, (0.05, 0.1), strict=True))


def test_server_that_stays_away_is_told(ask, waits):
    with pytest.raises(LostError, match="cannot be reached: as scripted. Is the server running"):
        ask("UNAVAILABLE", "UNAVAILABLE", retries=1)
    assert len(waits) == 1


def test_slow_answer_is_not_waited_for_and_not_asked_for_again(ask, waits):
    with pytest.raises(RankingError, match="did not answer within 0.3 seconds"):
        ask("late", "OK", timeout_seconds=0.3)
    assert ask.service.script == ["OK"] and waits == []


@pytest.mark.parametrize(("code", "status"), [("INVALID_ARGUMENT", 400), ("INTERNAL", 500)])
def test_errors_of_the_request_are_not_tried_again(ask, waits, code, status):
    with pytest.raises(RefusedError, match=f"answered {code}: as scripted") as caught:
        ask(code, "OK")
    assert caught.value.status == status
    assert ask.service.script == ["OK"] and waits == []


def test_signatures_are_those_of_the_model_that_is_there_now(ask):
    with contextlib.closing(open_model(ask.url, "m")) as model:
        assert model.read_signatures() == {"rank": {"x": "DT_FLOAT"}}
        ask.service.inputs.append("z")
        assert model.read_signatures() == {"rank": {"x": "DT_FLOAT", "z": "DT_FLOAT"}}
