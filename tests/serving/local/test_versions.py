"""Versions come, take over and go without a request noticing."""

import shutil
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from serving.contract.models import ContractModel
from serving.local.sources import ModelSource
from serving.local.versions import Model

X = {"x": np.array([2.0], np.float32)}


def write_version(base, number, offset=None):
    """Writes as an export does: beside, then renamed."""
    model = ContractModel(float(number if offset is None else offset))
    signatures = {"serving_default": model.build_signatures()["serving_default"]}
    tf.saved_model.save(model, str(base / f".{number}"), signatures=signatures)
    (base / f".{number}").rename(base / str(number))


def answer(model, **choice):
    with model.use(**choice) as version:
        return float(version.predict("serving_default", X, 10)["y"][0])


def states(model):
    return {status.version: ModelVersionStatus.State.Name(status.state) for status in model.statuses()}


@pytest.fixture
def base(tmp_path):
    write_version(tmp_path, 1)
    return tmp_path


def test_newest_version_takes_over_and_the_old_one_goes(base):
    model = Model(ModelSource("toy", base))
    model.refresh()
    assert answer(model) == 2.0
    write_version(base, 10)
    write_version(base, 9)
    model.refresh()
    assert answer(model) == 11.0
    assert states(model) == {1: "END", 10: "AVAILABLE"}
    with pytest.raises(tf.errors.NotFoundError):
        answer(model, number=1)


def test_hidden_and_named_folders_are_no_versions(base):
    for name in (".5", "5-copy", "five", str(2**63)):
        shutil.copytree(base / "1", base / name)
    (base / "1" / "dangling").symlink_to(base / "nowhere")
    model = Model(ModelSource("toy", base))
    model.refresh()
    assert states(model) == {1: "AVAILABLE"}


def test_version_that_does_not_load_leaves_the_old_one_serving(base):
    model = Model(ModelSource("toy", base))
    model.refresh()
    (base / "2").mkdir()
    model.refresh()
    assert answer(model) == 2.0
    assert states(model) == {1: "AVAILABLE", 2: "END"}
    assert model.statuses(2)[0].status.error_code != 0
    assert "2" in model.statuses(2)[0].status.error_message


def test_version_mended_after_it_failed_is_loaded(base):
    (base / "2").mkdir()
    model = Model(ModelSource("toy", base))
    model.refresh()
    (base / "2").rmdir()
    write_version(base, 2)
    model.refresh()
    assert states(model)[2] == "AVAILABLE"


def test_version_that_arrives_in_parts_is_loaded_when_it_is_whole(base):
    write_version(base, 2)
    weights = base / "2" / "variables" / "variables.index"
    kept = weights.read_bytes()
    weights.unlink()
    model = Model(ModelSource("toy", base))
    model.refresh()
    assert states(model)[2] == "END"
    weights.write_bytes(kept)
    model.refresh()
    assert states(model)[2] == "AVAILABLE"


def test_request_in_flight_keeps_its_version_open(base):
    model = Model(ModelSource("toy", base))
    model.refresh()
    write_version(base, 2)
    with model.use() as version:
        swap = threading.Thread(target=model.refresh)
        swap.start()
        deadline = time.monotonic() + 30
        while answer(model) != 3.0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert states(model) == {1: "UNLOADING", 2: "AVAILABLE"}
        assert float(version.predict("serving_default", X, 10)["y"][0]) == 2.0
    swap.join(30)
    assert states(model) == {1: "END", 2: "AVAILABLE"}


def test_chosen_versions_live_side_by_side_under_their_labels(base):
    write_version(base, 2)
    write_version(base, 3)
    model = Model(ModelSource("toy", base, versions=(1, 2), labels={"stable": 1, "canary": 2}))
    model.refresh()
    assert (answer(model), answer(model, label="stable"), answer(model, label="canary")) == (3.0, 2.0, 3.0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="label"):
        answer(model, label="nothing")


def test_label_in_use_moves_to_a_loaded_version_alone(base, caplog):
    model = Model(ModelSource("toy", base, versions=(1, 2), labels={"stable": 1}))
    model.refresh()
    new = ModelSource("toy", base, versions=(1, 2, 3), labels={"stable": 2, "canary": 3})
    model.refresh(new)
    assert answer(model, label="stable") == 2.0 and "refused until 2 is loaded" in caplog.text
    with pytest.raises(tf.errors.InvalidArgumentError, match="label"):
        answer(model, label="canary")  # the file is refused as a whole
    write_version(base, 2)
    model.refresh(new)  # a new label may be on a version that is not there
    assert (answer(model, label="stable"), states(model)) == (3.0, {1: "AVAILABLE", 2: "AVAILABLE"})


@pytest.mark.parametrize(("newest", "served"), [(2, [10, 9]), (None, [10, 9, 1])])
def test_several_of_the_newest_live_side_by_side(base, newest, served):
    write_version(base, 9)
    write_version(base, 10)
    model = Model(ModelSource("toy", base, newest=newest))
    model.refresh()
    assert list(states(model).items()) == [(number, "AVAILABLE") for number in served]
    assert (answer(model), answer(model, number=9)) == (11.0, 10.0)
    write_version(base, 11)
    model.refresh()
    assert states(model) == {**dict.fromkeys([11, *served], "AVAILABLE"), **({9: "END"} if newest else {})}


def test_tensor_of_a_shape_that_the_signature_excludes_is_invalid(base):
    model = Model(ModelSource("toy", base))
    model.refresh()
    with model.use() as version, pytest.raises(tf.errors.InvalidArgumentError):
        version.predict("serving_default", {"x": np.zeros([1, 1], np.float32)}, 10)


def test_last_version_that_is_deleted_goes(base):
    model = Model(ModelSource("toy", base))
    model.refresh()
    shutil.rmtree(base / "1")
    model.refresh()
    with pytest.raises(tf.errors.NotFoundError):
        answer(model)
