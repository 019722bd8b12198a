"""What a step is expected to take: numbers worked out by hand, and what bounds it."""

import types

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.config import TrainConfig
from tfr_listbert.encoders.roberta import RobertaEncoder
from tfr_listbert.encoders.shapes import RobertaShape
from tfr_listbert.losses import build_loss
from tfr_listbert.rows.list_index import ListIndex
from tfr_listbert.training.memory import count_weights, plan_memory
from tfr_listbert.training.ranking import _count_most_pairs

SHAPE = RobertaShape(layers=2, heads=2, width=8, inner_width=16, positions=40)


def plan(loss="softmax_loss", longest_list=100, **settings):
    return plan_memory(TrainConfig(**settings), SHAPE, 30, [build_loss(loss, {})], longest_list, 32)


def test_the_peak_is_that_of_steps_or_of_scoring_validation_lists():
    few, many = (
        plan_memory(TrainConfig(batch_lists=1), SHAPE, 30, [], 10, 32, scored_documents=count) for count in (10, 10_000)
    )
    assert few.total == few.process + few.weights + few.activations
    # Of each token 2 · (8 + 16) numbers.
    assert many.total == few.process + few.weights + 10_000 * 32 * 4 * 48
    bound = TrainConfig(batch_lists=1, max_tokens_in_memory=320)
    assert plan_memory(bound, SHAPE, 30, [], 10, 32, scored_documents=10_000).scoring == 320 * 4 * 48


def test_weights_are_counted_as_they_are():
    weights = RobertaEncoder(30, SHAPE).trainable_variables
    assert abs(count_weights(SHAPE, 30) - sum(int(tf.size(weight)) for weight in weights)) <= 3 * SHAPE.width


def test_activations_stop_growing_at_the_limit():
    free = [plan(batch_lists=2, longest_list=length).activations for length in (100, 200)]
    assert free[1] == 2 * free[0]
    bound = [plan(batch_lists=2, longest_list=length, max_tokens_in_memory=1024) for length in (100, 200)]
    assert bound[0].activations == bound[1].activations == free[0] * 1024 // (2 * 100 * 32)


def test_a_student_adds_rows_of_queries_a_second_encoder_and_whole_last_layers():
    def plan_student(**settings):
        return plan_memory(TrainConfig(batch_lists=2), SHAPE, 30, [], 100, 32, query_row=6, **settings)

    ranker, shared = plan(batch_lists=2), plan_student()
    assert shared.weights == ranker.weights and plan_student(encoders=2).weights == 2 * ranker.weights
    # Of each token of a row of 6: 7·8 + 3·16 + 3·2·6 of the first layer, 4·8 of the last, 8 + 2·16 at work.
    assert shared.activations - ranker.activations == 2 * 6 * 4 * (140 + 32 + 40)
    # With the mean the last layer keeps as much as the first: of 6,400 tokens in rows of 32, and of the queries' 12.
    kept = {32: 56 + 48 + 192, 6: 140}
    difference = plan_student(is_mean=True).activations - shared.activations
    assert difference == 4 * (6400 * (kept[32] - 32) + 12 * (kept[6] - 32))


@pytest.mark.parametrize(
    ("key", "options", "buffers"),
    [
        ("softmax_loss", {}, 0),
        ("rank_net_loss", {}, 8),
        ("pairwise_logistic_loss", {"lambda_weight": {"name": "ndcg"}}, 16),
        ("gumbel_approx_ndcg_loss", {"sample_size": 3}, 18),
        ("yeti_logistic_loss", {}, 0),
    ],
)
def test_a_loss_takes_buffers_in_the_square_of_its_lists(key, options, buffers):
    losses = [build_loss(key, options)]
    assert plan_memory(TrainConfig(batch_lists=2), SHAPE, 30, losses, 50, 32).loss == 4 * buffers * 2 * 50**2
    told = plan_memory(TrainConfig(batch_lists=2), SHAPE, 30, losses, 50, 32, pairs=7)
    assert told.loss == 4 * buffers * 7


def test_micro_batches_and_budgets_of_tokens_bound_the_loss():
    assert plan("rank_net_loss", batch_lists=8, micro_batch_lists=2).loss == plan("rank_net_loss", batch_lists=2).loss
    assert plan("rank_net_loss", batch_lists=None, batch_tokens=8000).loss == plan("rank_net_loss", batch_lists=2).loss
    assert plan(batch_lists=None, batch_tokens=10).activations == plan(batch_lists=1).activations


@pytest.mark.parametrize(
    ("rows", "settings", "pairs"),
    [
        ([3, 1, 1, 1], {"batch_lists": None, "batch_tokens": 3}, 9),  # the list of 3 makes a step of its own
        ([1, 1, 1, 1, 1, 1], {"batch_lists": None, "batch_tokens": 5}, 5),  # steps of 5 lists and of 1
        ([3, 1, 1, 1], {"batch_lists": None, "batch_tokens": 3, "micro_batch_lists": 2}, None),
        ([3, 1, 1, 1], {"batch_lists": 2}, None),
    ],
)
def test_most_pairs_are_those_of_a_step_of_long_lists_or_of_many(rows, settings, pairs):
    rows = np.array(rows)
    stores = {"tokens": types.SimpleNamespace(count_tokens=lambda: rows)}  # a token for each document
    index = ListIndex((), (), rows, rows, rows, rows, stores)
    assert _count_most_pairs(TrainConfig(**settings), index) == pairs
