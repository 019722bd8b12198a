"""The student: vectors worked out by hand, one encoder or two, and a start from a teacher's first layers."""

import dataclasses
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.config import ModelConfig, write_config
from tfr_listbert.models.student import StudentModel, Tower, TwoTowers
from tfr_listbert.rows.profile import RowProfile
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.rankers import adopt_initial, build_batcher, build_encoder, build_run_ranker, read_ranker

PAD = 1


class IdEncoder(tf.keras.layers.Layer):
    """Gives every token its id and the id's square as its vector, padding too."""

    shape = types.SimpleNamespace(width=2, layers=1)
    pad_id = PAD

    def call(self, tokens, seed=None, training=None, few_rows=False):
        ids = tf.cast(tokens, tf.float32)
        return tf.stack([ids, tf.square(ids)], axis=-1)

    def encode_first_tokens(self, matrices, seed, training, few_rows=False):
        return tf.concat([self.call(dense)[:, 0] for dense in matrices], axis=0)


def build_tower(pooling, widths=()):
    tower = Tower(IdEncoder(), 2, widths, pooling, dropout_rate=0.0)
    tower.head.kernel.assign([[1.0, 0.0], [0.0, 0.5]])
    return tower


ROWS = tf.ragged.constant([[2, 4, 6], [8], [4, 2]], tf.int32)


@pytest.mark.parametrize("widths", [(), (2, 4)])
@pytest.mark.parametrize(
    ("pooling", "expected"),
    [("first_token", [[2, 2], [8, 32], [4, 8]]), ("mean", [[4, 28 / 3], [8, 32], [3, 5]])],
)
def test_pooling_takes_the_first_token_or_the_mean_of_those_that_are_no_padding(pooling, expected, widths):
    tower = build_tower(pooling, widths)
    np.testing.assert_allclose(tower(ROWS), expected, rtol=1e-6)
    np.testing.assert_allclose(tower.encode_few(ROWS.to_tensor(PAD)), expected, rtol=1e-6)


def test_a_score_is_the_product_of_the_vectors_of_query_and_document():
    towers = TwoTowers(build_tower("mean"), build_tower("first_token"))
    inputs = {
        "query_tokens": tf.ragged.constant([[3], [2, 2]], tf.int32),  # vectors [3, 4.5] and [2, 2]
        "tokens": ROWS,  # vectors [2, 2], [8, 32] and [4, 8]
        "mask": tf.constant([[True, False], [True, True]]),
        "seed": tf.zeros([2], tf.int32),
    }
    np.testing.assert_allclose(StudentModel(towers)(inputs), [[6 + 9, 0], [16 + 64, 8 + 16]])


def test_training_without_a_seed_is_refused():
    tower = build_tower("mean")
    with pytest.raises(ValueError, match="Training needs `seed`"):
        tower(ROWS, training=True)
    with pytest.raises(ValueError, match="Training needs `seed`"):
        TwoTowers(tower, tower)(ROWS, ROWS, tf.range(3), training=True)


@pytest.fixture(scope="module")
def teacher(tiny_config, tmp_path_factory):
    """A run folder of an encoder of two layers."""
    run = tmp_path_factory.mktemp("teacher")
    encoder = dataclasses.replace(tiny_config.encoder, layers=2)
    config = dataclasses.replace(tiny_config, encoder=encoder)
    objects = {"encoder": build_encoder(encoder, read_tokenizer(config.text.folder), config.text.row_tokens)}
    tf.train.CheckpointManager(tf.train.Checkpoint(**objects), str(run / "best"), 1).save(1)
    shutil.copytree(config.text.folder, run / "tokenizer")
    write_config(config, run / "config.yaml")
    return run


def build_student(tiny_config, run, initial=None, is_shared=True, layers=1):
    encoder = dataclasses.replace(tiny_config.encoder, layers=layers, initial=initial)
    model = ModelConfig(type="student", vector_size=4, is_shared=is_shared, pooling="mean")
    train = dataclasses.replace(tiny_config.train, run=str(run))
    config = adopt_initial(dataclasses.replace(tiny_config, encoder=encoder, model=model, train=train))
    batcher = build_batcher(config, read_tokenizer(config.text.folder))
    return build_run_ranker(config, batcher, RowProfile((10, 25), (), ()))


def read_weights(encoder):
    return {variable.name: variable.numpy() for variable in encoder.trainable_variables}


def test_a_student_starts_from_the_teachers_first_layers(tiny_config, teacher, tmp_path):
    whole = build_encoder(
        dataclasses.replace(tiny_config.encoder, layers=2, initial=str(teacher)),
        read_tokenizer(tiny_config.text.folder),
        tiny_config.text.row_tokens,
    )
    towers = build_student(tiny_config, tmp_path, str(teacher), is_shared=False).row_scorer
    expected = read_weights(whole)
    for encoder in (towers.query_tower.encoder, towers.document_tower.encoder):
        own = read_weights(encoder)
        assert 0 < len(own) < len(expected)
        for name, value in own.items():
            np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_two_encoders_are_two_and_one_is_shared(tiny_config, tmp_path):
    shared = build_student(tiny_config, tmp_path).row_scorer
    apart = build_student(tiny_config, tmp_path, is_shared=False).row_scorer
    assert shared.query_tower.encoder is shared.document_tower.encoder
    assert shared.query_tower.head is not shared.document_tower.head
    heads = 4  # a kernel and a bias each
    encoder = len(shared.trainable_variables) - heads
    assert len(apart.trainable_variables) == 2 * encoder + heads
    assert set(apart.list_objects()) - set(shared.list_objects()) == {"query_encoder"}


def test_a_run_folder_keeps_both_encoders(tiny_config, tmp_path):
    student = build_student(tiny_config, tmp_path, is_shared=False)
    for index, variable in enumerate(student.row_scorer.trainable_variables):
        variable.assign_add(tf.random.stateless_normal(variable.shape, [1, index], stddev=0.2))
    checkpoint = tf.train.Checkpoint(**student.row_scorer.list_objects())
    tf.train.CheckpointManager(checkpoint, str(tmp_path / "best"), 1).save(1)
    shutil.copytree(tiny_config.text.folder, tmp_path / "tokenizer")
    (tmp_path / "rows.json").write_text('{"widths": [10, 25], "feature_means": [], "feature_deviations": []}')
    write_config(student.config, tmp_path / "config.yaml")
    found = read_ranker(tmp_path).row_scorer
    rows = tf.ragged.constant([[0, 7, 2], [0, 5, 6, 8, 2]], tf.int32)
    for name in ("query_tower", "document_tower"):
        np.testing.assert_allclose(getattr(found, name)(rows), getattr(student.row_scorer, name)(rows), atol=1e-6)
    assert np.abs(found.query_tower(rows) - found.document_tower(rows)).max() > 0.01
