"""The training step: gradients of the mean over lists, on one device or several."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.config import write_config
from tfr_listbert.losses import build_loss
from tfr_listbert.rows.dataset import build_dataset
from tfr_listbert.rows.profile import RowProfile
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.objectives import LossTerm, build_objective
from tfr_listbert.training.optimizer import build_learning_rate, build_optimizer
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


def test_biases_and_norms_are_not_decayed(tiny_config, ranker):
    optimizer = build_optimizer(tiny_config.train, 10)
    optimizer.build(ranker.network.trainable_variables)
    decayed = {v.name for v in ranker.network.trainable_variables if optimizer._use_weight_decay(v)}
    assert decayed and not any(part in name for name in decayed for part in ("bias", "gamma", "beta"))
    assert sum("kernel" in name or "embedding" in name for name in decayed) == len(decayed)


TWO_DEVICES = """
import sys
import tfr_listbert
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tfr_listbert.config import read_config
from tfr_listbert.training.ranking import train_ranker
train_ranker(read_config(sys.argv[1], sys.argv[2:]))
assert tf.config.list_logical_devices("CPU")[1].name.endswith("1")
"""


def assert_same_weights(one, other):
    checkpoints = [tf.train.load_checkpoint(tf.train.latest_checkpoint(str(run / "best"))) for run in (one, other)]
    names = [name for name in checkpoints[0].get_variable_to_shape_map() if name.startswith(("encoder", "head"))]
    assert len(names) > 10
    for name in names:
        np.testing.assert_allclose(*(reader.get_tensor(name) for reader in checkpoints), atol=2e-5, err_msg=name)


def test_two_replicas_take_the_steps_of_one(tiny_config, tmp_path):
    write_config(tiny_config, tmp_path / "config.yaml")
    no_dropout = ["encoder.dropout_rate=0", "encoder.attention_dropout_rate=0", "model.dropout_rate=0"]
    common = [str(tmp_path / "config.yaml"), "train.epochs=1", "loss.loss=approx_ndcg_loss", *no_dropout]
    one = [sys.executable, "pipelines/train.py", *common, f"train.run={tmp_path / 'one'}"]
    two = [sys.executable, "-c", TWO_DEVICES, *common, f"train.run={tmp_path / 'two'}", "train.strategy=mirrored"]
    for command in (one, two):
        subprocess.run(command, check=True, timeout=300, capture_output=True)
    assert_same_weights(tmp_path / "one", tmp_path / "two")


def test_two_workers_take_the_steps_of_one_process(tiny_config, tmp_path):
    write_config(tiny_config, tmp_path / "config.yaml")
    no_dropout = ["encoder.dropout_rate=0", "encoder.attention_dropout_rate=0", "model.dropout_rate=0"]
    common = [sys.executable, "pipelines/train.py", str(tmp_path / "config.yaml"), "train.epochs=1", *no_dropout]
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0)), two.bind(("127.0.0.1", 0))
        cluster = {"worker": [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, two)]}
    workers = [
        subprocess.Popen(
            [*common, f"train.run={tmp_path / 'two'}", "train.strategy=multi_worker"],
            env=os.environ
            | {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})},
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    try:
        errors = [worker.communicate(timeout=300)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], errors
    subprocess.run([*common, f"train.run={tmp_path / 'one'}"], check=True, timeout=300, capture_output=True)
    assert_same_weights(tmp_path / "one", tmp_path / "two")
