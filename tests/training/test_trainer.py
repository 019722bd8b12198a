"""The training step: gradients of the mean over lists, on one device or several."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.config import LossConfig, write_config
from tfr_listbert.losses import build_loss
from tfr_listbert.rows.dataset import build_dataset
from tfr_listbert.rows.profile import RowProfile
from tfr_listbert.schema import InputError
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.objectives import LossTerm, build_objective
from tfr_listbert.training.optimizer import build_learning_rate, build_optimizer
from tfr_listbert.training.ranking import train_ranker
from tfr_listbert.training.runs import build_batcher, build_run_ranker
from tfr_listbert.training.trainer import TrainingModel


@pytest.fixture
def ranker(tiny_config):
    tf.keras.utils.set_random_seed(1)
    batcher = build_batcher(tiny_config, read_tokenizer(tiny_config.text.folder))
    return build_run_ranker(tiny_config, batcher, RowProfile((10, 25), (25.0,), (12.0,)))


def test_the_loss_of_a_step_is_the_mean_over_its_lists(tiny_config, ranker):
    batch = next(iter(build_dataset(tiny_config.data.lists, "train", ranker.batcher, 6)))
    total, count, rows = build_objective([LossTerm(build_loss("softmax_loss", {}))])(
        ranker.network, batch, tf.constant([1, 2])
    )
    assert (int(count), int(rows)) == (6, int(batch["tokens"].nrows()))
    model = TrainingModel(ranker.network, build_objective([LossTerm(build_loss("softmax_loss", {}))]), 1, 1.0)
    model.compile(optimizer=build_optimizer(tiny_config.train, 10))
    logs = model.train_step(batch)
    assert int(logs["rows"]) == int(rows)
    assert float(logs["loss"]) < float(total)


def test_training_lowers_the_loss(tiny_config, ranker):
    dataset = build_dataset(tiny_config.data.lists, "train", ranker.batcher, 32)
    model = TrainingModel(ranker.network, build_objective([LossTerm(build_loss("softmax_loss", {}))]), 1, 1.0)
    model.compile(optimizer=tf.keras.optimizers.Adam(0.01))
    losses = model.fit(dataset, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.93 * losses[0]  # the labels' own entropy, 1.59 of 3.41, stays


def test_the_rate_rises_then_falls_to_nothing():
    rate = build_learning_rate(1.0, 100, 0.1)
    got = [float(rate(step)) for step in (0, 5, 10, 55, 100)]
    np.testing.assert_allclose(got, [0, 0.45, 0.9, 0.45, 0], atol=1e-6)


def test_labels_that_a_loss_does_not_take_end_with_its_message(tiny_config, tmp_path):
    loss = LossConfig(loss="sigmoid_cross_entropy_loss", options={"max_label": 0.5})
    train = dataclasses.replace(tiny_config.train, run=str(tmp_path / "run"))
    message = r"cannot be computed: .*no lower bound for labels above `max_label` \(0.5\): set it"
    with pytest.raises(InputError, match=message):
        train_ranker(dataclasses.replace(tiny_config, loss=loss, train=train))


def test_biases_and_norms_are_not_decayed(tiny_config, ranker):
    optimizer = build_optimizer(tiny_config.train, 10)
    optimizer.build(ranker.network.trainable_variables)
    decayed = {v.name for v in ranker.network.trainable_variables if optimizer._use_weight_decay(v)}
    assert decayed and not any(part in name for name in decayed for part in ("bias", "gamma", "beta"))
    assert sum("kernel" in name or "embedding" in name for name in decayed) == len(decayed)


@pytest.mark.soak
def test_two_replicas_take_the_steps_of_one(tiny_config, tmp_path, on_one_device, on_two_devices, assert_same_weights):
    write_config(tiny_config, tmp_path / "config.yaml")
    no_dropout = ["encoder.dropout_rate=0", "encoder.attention_dropout_rate=0", "model.dropout_rate=0"]
    common = ["pipelines/train.py", tmp_path / "config.yaml", "train.epochs=1", "loss.loss=approx_ndcg_loss"]
    on_one_device(*common, *no_dropout, f"train.run={tmp_path / 'one'}")
    on_two_devices(*common, *no_dropout, f"train.run={tmp_path / 'two'}", "train.strategy=mirrored")
    assert_same_weights(tmp_path / "one", tmp_path / "two", ("encoder", "head"))


@pytest.mark.soak
def test_two_workers_take_the_steps_of_one_process(
    tiny_config, tmp_path, on_one_device, on_two_workers, assert_same_weights
):
    write_config(tiny_config, tmp_path / "config.yaml")
    no_dropout = ["encoder.dropout_rate=0", "encoder.attention_dropout_rate=0", "model.dropout_rate=0"]
    common = ["pipelines/train.py", tmp_path / "config.yaml", "train.epochs=1", *no_dropout]
    on_two_workers(*common, f"train.run={tmp_path / 'two'}", "train.strategy=multi_worker")
    on_one_device(*common, f"train.run={tmp_path / 'one'}")
    assert_same_weights(tmp_path / "one", tmp_path / "two", ("encoder", "head"))
