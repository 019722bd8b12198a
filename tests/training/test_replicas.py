"""A step dealt out to replicas is the step of one device, also where there are fewer lists than replicas."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.config import TrainConfig
from tfr_listbert.losses import build_distillation_loss, build_loss
from tfr_listbert.registry import DISTILLATION_LOSSES, LOSSES
from tfr_listbert.rows.dataset import build_step_dataset
from tfr_listbert.rows.profile import RowProfile
from tfr_listbert.rows.training_order import StepDeal
from tfr_listbert.schema import InputError
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.devices import build_strategy
from tfr_listbert.training.objectives import LossTerm, build_objective
from tfr_listbert.training.rankers import build_batcher, build_run_ranker
from tfr_listbert.training.ranking import index_training_lists

PROFILE = RowProfile(widths=(12, 28), feature_means=(10.0,), feature_deviations=(5.0,))
REPLICAS = 3


@pytest.fixture(scope="module")
def batcher(tiny_config):
    return build_batcher(tiny_config, read_tokenizer(tiny_config.text.folder))


def build_network(tiny_config, batcher, **train):
    still = dataclasses.replace(tiny_config.encoder, dropout_rate=0.0, attention_dropout_rate=0.0)
    settings = dataclasses.replace(tiny_config.train, **train)
    model = dataclasses.replace(tiny_config.model, dropout_rate=0.0)
    config = dataclasses.replace(tiny_config, encoder=still, model=model, train=settings)
    return build_run_ranker(config, batcher, PROFILE).network


def read_steps(tiny_config, batcher, replicas=1):
    index = index_training_lists(tiny_config, batcher)
    deal = StepDeal(index, TrainConfig(seed=1, epochs=1, batch_lists=2))
    return iter(build_step_dataset(index, batcher, deal, replicas=replicas))


def differentiate(network, objective):
    @tf.function(reduce_retracing=True)
    def compute(batch):
        with tf.GradientTape() as tape:
            total, count, rows = objective(network, batch, tf.constant([1, 2]))
        gradients = tape.gradient(total, network.trainable_variables)
        return total, count, rows, [tf.convert_to_tensor(gradient) for gradient in gradients]

    return compute


@pytest.mark.parametrize(
    "train, micro_batch_lists",
    [pytest.param({}, None, marks=pytest.mark.soak), ({"max_tokens_in_memory": 64}, 1)],
)
def test_parts_without_lists_add_nothing_and_the_others_make_the_step(tiny_config, batcher, train, micro_batch_lists):
    objective = build_objective([LossTerm(build_loss("approx_ndcg_loss", {}))], micro_batch_lists)
    compute = differentiate(build_network(tiny_config, batcher, **train), objective)
    parts = read_steps(tiny_config, batcher, REPLICAS)
    total, count, rows, gradients = compute(next(read_steps(tiny_config, batcher)))
    own = [compute(next(parts)) for _ in range(REPLICAS)]
    assert [int(part[1]) for part in own] == [1, 1, 0] and int(count) == 2
    assert float(own[2][0]) == 0 and int(own[2][2]) == 0 and sum(int(part[2]) for part in own) == int(rows)
    np.testing.assert_allclose(sum(float(part[0]) for part in own), float(total), rtol=1e-5)
    for index, gradient in enumerate(gradients):
        assert not np.any(own[2][3][index])
        np.testing.assert_allclose(sum(part[3][index].numpy() for part in own), gradient, atol=1e-5)


@pytest.mark.parametrize(
    "loss",
    [build_loss(key, {}) for key in LOSSES] + [build_distillation_loss(key, {}) for key in DISTILLATION_LOSSES],
    ids=lambda loss: f"{type(loss).__name__}",
)
def test_every_loss_of_no_list_is_nothing(loss):
    empty = tf.zeros([0, 1])
    names = ("labels", "weights", "teacher_scores")
    lists = {name: empty for name in names}
    lists |= {"mask": tf.cast(empty, tf.bool), "document_keys": tf.cast(empty, tf.int64)}
    with tf.GradientTape() as tape:
        tape.watch(empty)
        losses = LossTerm(loss).compute(lists, empty, tf.constant([1, 2]))
    assert losses.shape == [0]
    assert tape.gradient(losses, empty).shape == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}}', "workers alone, .*got chief as well"),
        ("", "name 2 workers or more"),
        ('{"cluster": {"worker": ["a:1"]}}', "2 workers or more"),
        ("{", "is not valid"),
    ],
)
def test_workers_that_are_not_named_are_asked_for(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=f"`train.strategy` multi_worker .*{message}"):
        build_strategy("multi_worker")
