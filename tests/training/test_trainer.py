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
from tfr_listbert.training.optimizer import build_optimizer
from tfr_listbert.training.rankers import build_batcher, build_run_ranker
from tfr_listbert.training.ranking import train_ranker
from tfr_listbert.training.trainer import TrainingModel


@pytest.fixture
def ranker(tiny_config):
    tf.keras.utils.set_random_seed(1)
    batcher = build_batcher(tiny_config, read_tokenizer(tiny_config.text.folder))
    return build_run_ranker(tiny_config, batcher, RowProfile((10, 25), (25.0,), (12.0,)))


def test_training_lowers_the_loss(tiny_config, ranker):
    dataset = build_dataset(tiny_config.data.lists, "train", ranker.batcher, 32)
    model = TrainingModel(ranker.network, build_objective([LossTerm(build_loss("softmax_loss", {}))]), 1, 1.0)
    model.compile(optimizer=tf.keras.optimizers.Adam(0.01))
    losses = model.fit(dataset, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.93 * losses[0]  # the labels' own entropy, 1.59 of 3.41, stays


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


class Table(tf.keras.Model):
    """A network of one table of three rows."""

    def __init__(self):
        super().__init__()
        self.table = self.add_weight("table", [3, 1], initializer="zeros")


@pytest.mark.parametrize("lists", [1, 4])
def test_a_step_takes_the_mean_over_lists_clipped_by_the_norm_of_its_whole_gradient_with_a_seed_of_its_own(lists):
    def objective(network, batch, seed):
        drawn = tf.random.stateless_uniform([], seed)
        return tf.reduce_sum(tf.gather(network.table, [0, 0, 1])) + drawn, lists, 3  # gradient 2, 1, 0

    network = Table()
    model = TrainingModel(network, objective, run_seed=1, gradient_clip_norm=0.1)
    model.compile(optimizer=tf.keras.optimizers.SGD(1.0))
    first = model.train_step({})
    assert float(first["gradient_norm"]) == pytest.approx(5**0.5 / lists)
    np.testing.assert_allclose(network.table[:, 0], -0.1 / 5**0.5 * np.array([2, 1, 0]), rtol=1e-5)
    second = lists * float(model.train_step({})["loss"]) + 0.5 / 5**0.5  # the table's part taken off
    assert second != pytest.approx(lists * float(first["loss"]), abs=1e-3)
