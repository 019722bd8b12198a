"""Tests of RoBERTa under Hugging Face's names, against what the reference library computes."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.encoders.hugging_face import (
    HuggingFaceRoberta,
    assign_encoder,
    assign_head,
    build_hugging_face_config,
    has_tied_head,
    list_weights,
    read_hugging_face_config,
)
from tfr_listbert.encoders.roberta import RobertaEncoder
from tfr_listbert.encoders.shapes import RobertaShape
from tfr_listbert.encoders.weight_files import read_weights
from tfr_listbert.models.masked_lm import MLMHead
from tfr_listbert.schema import InputError

TINY = Path(__file__).with_name("hugging_face_tiny")
WORDS = "roberta.embeddings.word_embeddings.weight"


@pytest.fixture(scope="module")
def expected():
    return np.load(TINY / "expected.npz")


@pytest.fixture(scope="module")
def weights():
    return read_weights(TINY / "model.safetensors")


@pytest.fixture
def encoder():
    model = read_hugging_face_config(TINY)
    return RobertaEncoder(model.vocabulary_size, model.shape, pad_id=model.pad_id)


@pytest.fixture
def head():
    return MLMHead(301, 16)


def test_hidden_states_are_those_of_the_reference_at_every_position_and_mask(encoder, weights, expected):
    assign_encoder(encoder, weights, "file")
    hidden = encoder(tf.constant(expected["tokens"]))
    np.testing.assert_allclose(hidden, expected["hidden"], rtol=0, atol=1e-5)
    first = encoder.encode_first_tokens([tf.constant(expected["tokens"])])
    np.testing.assert_allclose(first, expected["hidden"][:, 0], rtol=0, atol=1e-5)


def test_logits_of_the_masked_lm_are_those_of_the_reference(encoder, head, weights, expected):
    assign_encoder(encoder, weights, "file")
    assign_head(head, weights, "file")
    logits = head(tf.reshape(tf.constant(expected["hidden"][:, :8]), [-1, 16]), encoder.token_embedding)
    np.testing.assert_allclose(logits, expected["logits"].reshape(-1, 301), rtol=0, atol=1e-4)


def test_weights_in_and_out_are_the_same(encoder, head, weights):
    taken = assign_encoder(encoder, weights, "file") | assign_head(head, weights, "file")
    assert taken == set(weights)
    listed = list_weights(encoder, head)
    assert set(listed) == set(weights)
    for name, array in weights.items():
        np.testing.assert_array_equal(listed[name], array, err_msg=name)


def test_weights_may_have_any_prefix_and_further_parts(encoder, weights, expected):
    renamed = {name.removeprefix("roberta."): array for name, array in weights.items()}
    renamed["pooler.dense.weight"] = np.zeros([16, 16], np.float32)
    taken = assign_encoder(encoder, renamed, "file")
    assert "pooler.dense.weight" not in taken
    np.testing.assert_allclose(encoder(tf.constant(expected["tokens"])), expected["hidden"], rtol=0, atol=1e-5)


def test_of_two_token_types_the_first_is_taken(encoder, weights, expected):
    name = "roberta.embeddings.token_type_embeddings.weight"
    two = {**weights, name: np.concatenate([weights[name], weights[name] + 1])}
    assign_encoder(encoder, two, "file")
    np.testing.assert_allclose(encoder(tf.constant(expected["tokens"])), expected["hidden"], rtol=0, atol=1e-5)


def test_a_head_of_its_own_table_does_not_count(weights):
    assert has_tied_head(weights)
    assert has_tied_head({**weights, "lm_head.decoder.weight": weights[WORDS]})
    assert not has_tied_head({**weights, "lm_head.decoder.weight": weights[WORDS] + 1})
    assert not has_tied_head({WORDS: weights[WORDS]})


def test_a_missing_weight_is_named_and_nothing_is_assigned(encoder, weights):
    before = encoder.token_embedding.numpy()
    missing = "roberta.encoder.layer.1.output.dense.bias"
    with pytest.raises(InputError, match=f"file has no weight {missing}"):
        assign_encoder(encoder, {name: array for name, array in weights.items() if name != missing}, "file")
    np.testing.assert_array_equal(encoder.token_embedding.numpy(), before)


def test_a_vocabulary_of_another_size_than_the_embedding_is_named(encoder, weights):
    with pytest.raises(InputError, match=rf"{WORDS} in file must be of shape \[301, 16\].*got \[300, 16\]"):
        assign_encoder(encoder, {**weights, WORDS: weights[WORDS][:300]}, "file")


def test_weights_of_something_else_are_refused(encoder):
    with pytest.raises(InputError, match="must hold one embeddings.word_embeddings.weight to be a RoBERTa"):
        assign_encoder(encoder, {"wte.weight": np.zeros([3, 3])}, "file")


def test_the_config_gives_the_numbers():
    assert read_hugging_face_config(TINY) == HuggingFaceRoberta(
        RobertaShape(layers=2, heads=4, width=16, inner_width=40, positions=32), 301, 1, 0.1, 0.1
    )


def test_a_written_config_is_read_as_it_was(tmp_path):
    model = HuggingFaceRoberta(RobertaShape(3, 2, 8, 24, 40), 99, 1, 0.2, 0.0)
    (tmp_path / "config.json").write_text(json.dumps(build_hugging_face_config(model, 0, 2, has_head=False)))
    assert read_hugging_face_config(tmp_path) == model


def test_a_written_config_says_what_the_reference_says():
    theirs = json.loads((TINY / "config.json").read_text())
    ours = build_hugging_face_config(read_hugging_face_config(TINY), 0, 2, has_head=True)
    assert {name: theirs[name] for name in ours} == ours


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "bert"}, "`model_type` in .* must be 'roberta'.*got 'bert'"),
        ({"hidden_act": "gelu_new"}, "`hidden_act` in .* must be 'gelu' or 'gelu_python'.*got 'gelu_new'"),
        ({"layer_norm_eps": 1e-12}, "`layer_norm_eps` in .* must be 1e-05.*got 1e-12"),
        ({"layer_norm_eps": None}, "`layer_norm_eps` in .* must be 1e-05.*got 1e-12"),
        ({"position_embedding_type": "relative_key"}, "`position_embedding_type` in .* must be 'absolute'"),
        ({"is_decoder": True}, "`is_decoder` in .* must be False"),
        ({"add_cross_attention": True}, "`add_cross_attention` in .* must be False"),
        ({"quantization_config": {"bits": 4}}, "`quantization_config` in .* must be None"),
        ({"num_hidden_layers": True}, "`num_hidden_layers` in .* must be a whole number >= 1, got True"),
        ({"hidden_dropout_prob": "0.1"}, "`hidden_dropout_prob` in .* must be a number >= 0 and < 1, got '0.1'"),
        ({"hidden_size": None}, "`hidden_size` in .* must be a whole number >= 1, got None"),
        ({"num_attention_heads": 3}, "`num_attention_heads` in .* must divide `hidden_size` 16, got 3"),
        ({"max_position_embeddings": 2}, "`max_position_embeddings` in .* must be a whole number >= 3, got 2"),
    ],
)
def test_a_config_that_cannot_be_honoured_is_refused_with_the_reason(change, message, tmp_path):
    content = json.loads((TINY / "config.json").read_text()) | change
    kept = {name: value for name, value in content.items() if value is not None}
    (tmp_path / "config.json").write_text(json.dumps(kept))
    with pytest.raises(InputError, match=message):
        read_hugging_face_config(tmp_path)


def test_a_missing_or_broken_config_is_named(tmp_path):
    with pytest.raises(InputError, match="config.json is missing"):
        read_hugging_face_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="config.json is not valid JSON"):
        read_hugging_face_config(tmp_path)
