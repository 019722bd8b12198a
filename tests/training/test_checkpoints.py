"""A run goes on from the newest checkpoint that can be read."""

from pathlib import Path

import pytest
import tensorflow as tf

from tfr_listbert.schema import InputError
from tfr_listbert.training.checkpoints import RunCheckpoints, describe_unfinished, find_checkpoint, restore_objects


def build(run, value=0.0):
    weight = tf.Variable([value] * 1000)
    return weight, RunCheckpoints(run, {"encoder": tf.train.Checkpoint(w=weight)}, tf.keras.optimizers.SGD())


@pytest.fixture
def run(tmp_path):
    weight, checkpoints = build(tmp_path)
    for step in (10, 20):
        weight.assign([float(step)] * 1000)
        checkpoints.progress.pairs = step
        checkpoints.save(step)
        checkpoints.save_best(step)
    return tmp_path


DAMAGES = [
    lambda path: path.with_suffix(".data-00000-of-00001").write_bytes(b"x"),
    lambda path: path.with_suffix(".data-00000-of-00001").unlink(),
    lambda path: path.with_suffix(".index").write_bytes(b""),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_and_said_to_be(run, damage, capsys):
    damage(Path(run, "checkpoints", "ckpt-20"))
    weight, checkpoints = build(run)
    assert checkpoints.restore()
    assert (float(weight[999]), checkpoints.progress.pairs) == (10.0, 10)
    assert "ckpt-20 cannot be read" in capsys.readouterr().err
    damage(Path(run, "checkpoints", "ckpt-10"))
    with pytest.raises(InputError, match="No checkpoint in .*checkpoints can be read"):
        build(run)[1].restore()


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_are_refused(run, damage):
    damage(Path(run, "best", "ckpt-20"))
    with pytest.raises(InputError, match="ckpt-20 do not fit this model, or are damaged"):
        restore_objects(run, "best", encoder=tf.train.Checkpoint(w=tf.Variable([0.0] * 1000)))


def test_a_run_whose_training_has_not_ended_is_said_to_be(run, tmp_path):
    assert f"training of {run} has not ended (its newest checkpoint is of step 20), and" in describe_unfinished(run)
    assert "has not ended, and better weights may come" in describe_unfinished(tmp_path / "none")
    (run / "metrics.json").touch()
    assert describe_unfinished(run) == ""


def test_a_run_without_a_checkpoint_names_the_setting_that_may_be_wrong(tmp_path):
    with pytest.raises(InputError, match="not got that far, or `train.run` names another folder"):
        find_checkpoint(tmp_path, "best")
    with pytest.raises(InputError, match="not got that far, or `encoder.initial` names another folder"):
        restore_objects(tmp_path, "best", "encoder.initial")
