"""JSON bodies become tensors by TensorFlow Serving's rules, or an error with its status, and nothing else."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from serving.local.codec import format_outputs, parse_inputs, parse_json

PAIR = {"text": tf.string, "number": tf.float32}


def test_rows_become_columns():
    document = {"instances": [{"text": "a", "number": 1}, {"text": "b", "number": 2.5}]}
    inputs, is_row = parse_inputs(document, PAIR)
    assert is_row
    assert inputs["text"].tolist() == [b"a", b"b"]
    assert inputs["number"].dtype == np.float32 and inputs["number"].tolist() == [1.0, 2.5]


def test_nested_empty_lists_keep_their_shape():
    inputs, _ = parse_inputs({"inputs": {"text": [[], []], "number": []}}, PAIR)
    assert inputs["text"].shape == (2, 0)
    assert inputs["number"].shape == (0,)


def test_narrow_integers_are_cut_as_the_real_server_cuts_them():
    inputs, _ = parse_inputs({"inputs": [256, -1]}, {"x": tf.uint8})
    assert inputs["x"].tolist() == [0, 255]


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.complex64])
def test_types_that_json_cannot_carry_are_unimplemented(dtype):
    with pytest.raises(tf.errors.UnimplementedError):
        parse_inputs({"inputs": [1.0]}, {"x": dtype})


def test_lists_nested_without_end_are_invalid():
    for depth in (33, 500, 100_000):
        body = b'{"inputs": ' + b"[" * depth + b"]" * depth + b"}"
        with pytest.raises(tf.errors.InvalidArgumentError):
            parse_inputs(parse_json(body), {"x": tf.float32})


def test_number_of_five_thousand_digits_is_invalid():
    with pytest.raises(tf.errors.InvalidArgumentError):
        parse_inputs(parse_json(b'{"inputs": [' + b"9" * 5000 + b"]}"), {"x": tf.float32})


def test_errors_repeat_only_the_beginning_of_a_long_value():
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        parse_inputs({"inputs": ["x" * 100_000]}, {"x": tf.float32})
    assert len(caught.value.message) < 400


def test_floats_go_out_with_the_shortest_decimals():
    values = np.array([0.2, 1 / 3, -1e9, 16777216], np.float32)
    assert format_outputs({"y": values}, is_row=False) == b'{"outputs": [0.2, 0.33333334, -1000000000.0, 16777216.0]}'


@given(st.lists(st.floats(-(2.0**127), 2.0**127, width=32) | st.sampled_from([math.nan, math.inf, -math.inf])))
def test_floats_survive_the_way_out_and_in(values):
    values = np.array(values, np.float32)
    body = format_outputs({"y": values}, is_row=False)
    document = parse_json(body)
    inputs, _ = parse_inputs({"inputs": document["outputs"]}, {"x": tf.float32})
    np.testing.assert_array_equal(inputs["x"], values)


@given(st.lists(st.binary()))
def test_bytes_survive_the_way_out_and_in(values):
    array = np.array([*values, b""], object)
    document = parse_json(format_outputs({"y_bytes": array}, is_row=True))
    inputs, _ = parse_inputs({"instances": document["predictions"]}, {"x": tf.string})
    assert inputs["x"].tolist() == [*values, b""]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.builds(lambda b: {"b64": b}, st.text()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["text", "number", "b64"]), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["instances", "inputs", "signature_name"]), JSON_VALUES))
def test_any_document_gives_tensors_of_the_signature_or_an_error_of_the_client(document):
    body = json.dumps(document).encode()
    try:
        inputs, _ = parse_inputs(parse_json(body), PAIR)
    except tf.errors.InvalidArgumentError:
        return
    assert inputs.keys() == PAIR.keys()
    assert inputs["text"].dtype == object and inputs["number"].dtype == np.float32


@given(st.binary())
def test_any_bytes_give_an_object_or_an_error_of_the_client(body):
    try:
        assert isinstance(parse_json(body), dict)
    except tf.errors.InvalidArgumentError:
        return


def test_infinity_is_a_number_and_an_overflow_is_not():
    assert math.isinf(parse_json(b'{"x": Infinity}')["x"])
    with pytest.raises(tf.errors.InvalidArgumentError):
        parse_json(b'{"x": 1e999}')
