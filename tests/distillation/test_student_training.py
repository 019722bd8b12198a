"""A student's training: killed and gone on with it ends where an undisturbed one does."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.config import LossConfig, LossTermConfig
from tfr_listbert.training.checkpoints import RunCheckpoints
from tfr_listbert.training.ranking import train_ranker


class KilledError(Exception):
    """Stands for a process that ends in the middle of a run."""


@pytest.fixture
def config(student_config):
    """Two encoders, the mean of the tokens, dropout, and a loss with noise: whatever a wrong seed would change."""
    terms = (LossTermConfig("coupled_rankdistil_loss"), LossTermConfig("softmax_loss", "labels"))
    return dataclasses.replace(
        student_config,
        model=dataclasses.replace(student_config.model, is_shared=False, pooling="mean", dropout_rate=0.1),
        loss=LossConfig(name="both", terms=terms),
        train=dataclasses.replace(student_config.train, epochs=1, batch_lists=12, checkpoint_steps=3),
    )


def train_in(config, run):
    train_ranker(dataclasses.replace(config, train=dataclasses.replace(config.train, run=str(run))))


def read_end(run):
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(Path(run, "checkpoints"))))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


@pytest.mark.soak
def test_a_killed_student_goes_on_and_ends_on_the_same_weights(config, tmp_path, monkeypatch):
    train_in(config, tmp_path / "whole")
    save = RunCheckpoints.save

    def save_and_die(self, step):
        save(self, step)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(RunCheckpoints, "save", save_and_die)
        with pytest.raises(KilledError):
            train_in(config, tmp_path / "killed")
    assert not (tmp_path / "killed" / "metrics.json").exists()
    train_in(config, tmp_path / "killed")
    whole, killed = read_end(tmp_path / "whole"), read_end(tmp_path / "killed")
    assert whole.keys() == killed.keys() and any(name.startswith("query_encoder/") for name in whole)
    for name, value in whole.items():
        np.testing.assert_array_equal(value, killed[name], err_msg=name)
