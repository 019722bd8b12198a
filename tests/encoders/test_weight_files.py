"""Tests of reading weights: whole, damaged, and pickled with ill intent."""

import os
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.tensorflow
import tensorflow as tf

from tfr_listbert.encoders.weight_files import read_weights, write_weights
from tfr_listbert.schema import InputError

TINY = Path(__file__).with_name("hugging_face_tiny")


def test_pickled_weights_are_those_of_the_safetensors_file():
    weights, pickled = read_weights(TINY / "model.safetensors"), read_weights(TINY / "pytorch_model.bin")
    assert set(pickled) - set(weights) == {"lm_head.decoder.weight", "lm_head.decoder.bias"}  # tied, kept twice
    for name, array in weights.items():
        np.testing.assert_array_equal(pickled[name], array, err_msg=name)


def test_weights_are_written_as_they_are_read(tmp_path):
    weights = {"b": np.arange(6, dtype=np.float32).reshape(2, 3).T, "a": np.float32([1.5])}
    write_weights(tmp_path / "model.safetensors", weights)
    read = read_weights(tmp_path / "model.safetensors")
    assert set(read) == {"a", "b"}
    for name, array in weights.items():
        np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float64])
def test_other_precisions_become_float32_and_integers_are_left_out(dtype, tmp_path):
    tensors = {"weight": tf.constant([0.5, -2.0], dtype), "position_ids": tf.constant([1, 2])}
    safetensors.tensorflow.save_file(tensors, str(tmp_path / "model.safetensors"))
    weights = read_weights(tmp_path / "model.safetensors")
    assert list(weights) == ["weight"] and weights["weight"].dtype == np.float32
    assert weights["weight"].tolist() == [0.5, -2.0]


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("kept", [0, 4, 100, 20_000])
def test_a_file_that_is_cut_short_is_named(name, kept, tmp_path):
    (tmp_path / name).write_bytes((TINY / name).read_bytes()[:kept])
    with pytest.raises(InputError, match=rf"{name} is no whole"):
        read_weights(tmp_path / name)


def test_a_missing_file_is_answered_with_what_is_there(tmp_path):
    shutil.copy(TINY / "config.json", tmp_path)
    with pytest.raises(InputError, match="model.safetensors is missing: .* which has config.json"):
        read_weights(tmp_path / "model.safetensors")


def _write_archive(path, content, data=b""):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", data)


class _Call:
    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    mark = tmp_path / "it_ran"
    _write_archive(tmp_path / "model.bin", pickle.dumps({"weight": _Call(os.mkdir, str(mark))}))
    with pytest.raises(InputError, match=r"it asks for posix\.mkdir"):
        read_weights(tmp_path / "model.bin")
    assert not mark.exists()


def test_a_pickle_that_holds_no_tensors_by_name_is_refused(tmp_path):
    _write_archive(tmp_path / "model.bin", pickle.dumps([1.0, 2.0]))
    with pytest.raises(InputError, match="it holds a list, not tensors by name"):
        read_weights(tmp_path / "model.bin")


def test_a_pickled_tensor_beyond_its_data_is_refused(tmp_path):
    content = (  # what PyTorch pickles for a tensor [4], over a storage of 2 numbers
        b"\x80\x02}X\x06\x00\x00\x00weightctorch._utils\n_rebuild_tensor_v2\n(("
        b"X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQ"
        b"K\x00K\x04\x85K\x01\x85\x89}tRs."
    )
    _write_archive(tmp_path / "model.bin", content, np.zeros(2, np.float32).tobytes())
    with pytest.raises(InputError, match="a tensor lies outside its data"):
        read_weights(tmp_path / "model.bin")
