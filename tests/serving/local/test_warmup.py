"""A version is warmed up before it serves, and one that cannot answer its warm-up requests never serves."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from serving.contract.models import ContractModel
from serving.local import warmup
from serving.local.sources import ModelSource
from serving.local.versions import Model
from serving.local.warmup import WARMUP_PATH, warm_up


def build_log(value, signature="picky", name="x", dtype=np.float32):
    log = PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(np.array([value], dtype)))
    return log


def write_logs(folder, logs):
    (folder / WARMUP_PATH).parent.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / WARMUP_PATH)) as writer:
        for log in logs:
            writer.write(log if isinstance(log, bytes) else log.SerializeToString())


def test_records_are_asked_in_order(tmp_path):
    asked = []
    write_logs(tmp_path, [build_log(1.0), build_log(2.0, signature="")])
    assert warm_up(tmp_path, lambda name, inputs: asked.append((name, inputs["x"].tolist()))) == 2
    assert asked == [("picky", [1.0]), ("serving_default", [2.0])]


def test_version_without_the_file_is_not_warmed(tmp_path):
    assert warm_up(tmp_path, None) == 0


def build_log_without_type():
    log = build_log(1.0)
    log.predict_log.request.inputs["x"].dtype = 0
    return log


@pytest.mark.parametrize(
    ("logs", "message"),
    [
        ([b"\xff\xff"], "record 1 .* Failed to parse"),
        ([build_log(1.0), PredictionLog()], "record 2 .* unsupported log_type"),
        ([build_log_without_type()], "record 1 .* tensor parsing error: x"),
        ([build_log(1.0)] * 3, "exceeds the maximum"),
    ],
)
def test_file_that_the_real_server_refuses_is_refused(tmp_path, monkeypatch, logs, message):
    monkeypatch.setattr(warmup, "MAX_RECORDS", 2)
    write_logs(tmp_path, logs)
    with pytest.raises(tf.errors.OpError, match=message):
        warm_up(tmp_path, lambda name, inputs: None)


def test_version_whose_warm_up_fails_does_not_load(tmp_path):
    model = ContractModel(1.0)
    tf.saved_model.save(model, str(tmp_path / "3"), signatures={"picky": model.build_signatures()["picky"]})
    write_logs(tmp_path / "3", [build_log(1.0), build_log(11.0)])
    served = Model(ModelSource("toy", tmp_path))
    served.refresh()
    (status,) = served.statuses()
    assert status.state == ModelVersionStatus.END
    assert "Warm-up record 2" in status.status.error_message and "at most ten" in status.status.error_message


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (build_log(1.0, name="z"), "picky takes x; got ['z']"),
        (build_log(1.0, dtype=np.float64), "Expects x to be float but double is provided"),
    ],
)
def test_version_whose_warm_up_does_not_fit_it_does_not_load(tmp_path, log, message):
    model = ContractModel(1.0)
    tf.saved_model.save(model, str(tmp_path / "3"), signatures={"picky": model.build_signatures()["picky"]})
    write_logs(tmp_path / "3", [log])
    served = Model(ModelSource("toy", tmp_path))
    served.refresh()
    (status,) = served.statuses()
    assert status.state == ModelVersionStatus.END and message in status.status.error_message
