"""Steps of pre-training: every row once an epoch, in an order that seed and step decide."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.rows.corpus_batches import StepPlan, build_held_out_dataset, build_step_dataset

COUNTS = {4: 101, 9: 1, 16: 64, 30: 5}
"""Rows by width; each row holds its own number in all places."""


@pytest.fixture(scope="module")
def rows():
    first = 0
    arrays = []
    for width, count in COUNTS.items():
        arrays.append(np.tile(np.arange(first, first + count, dtype=np.uint16)[:, np.newaxis], (1, width)))
        first += count
    return arrays


def mask(tokens, step):
    """Shows the number of the step; masks at random."""
    shown = tf.fill(tf.shape(tokens), tf.cast(step, tf.int32))
    drawn = tf.random.stateless_uniform(tf.shape(tokens), [5, tf.cast(step, tf.int32)])
    return shown, drawn < 0.3


def read_epoch(plan, epoch):
    return [plan.read_shuffled(step) for step in range(epoch * plan.epoch_steps, (epoch + 1) * plan.epoch_steps)]


def list_numbers(steps):
    return [step[:, 0].tolist() for step in steps]


def test_every_epoch_has_every_row_once_in_an_order_of_its_own(rows):
    plan = StepPlan(rows, batch_tokens=64, seed=3)
    epochs = [list_numbers(read_epoch(plan, epoch)) for epoch in range(3)]
    for epoch in epochs:
        assert sorted(sum(epoch, [])) == list(range(171))
    groups = [{tuple(sorted(step)) for step in epoch if len(step) > 1} for epoch in epochs]
    assert len(groups[0] & groups[1]) < 3  # rows meet others in each epoch
    widths = [[step.shape[1] for step in read_epoch(plan, epoch)] for epoch in range(2)]
    assert sorted(widths[0]) == sorted(widths[1]) and widths[0] != widths[1]


def test_a_step_keeps_within_its_tokens_and_shares_are_even(rows):
    plan = StepPlan(rows, batch_tokens=64, seed=3)
    by_width = collections.defaultdict(list)
    for step in read_epoch(plan, 0):
        assert step.size <= 64
        by_width[step.shape[1]].append(len(step))
    assert {width: len(sizes) for width, sizes in by_width.items()} == {4: 7, 9: 1, 16: 16, 30: 3}
    assert sorted(by_width[4]) == [14, 14, 14, 14, 15, 15, 15] and sorted(by_width[30]) == [1, 2, 2]


def test_the_order_follows_the_seed_and_the_step_alone(rows):
    plan = StepPlan(rows, 64, seed=3)
    epoch = list_numbers(read_epoch(plan, 1))
    assert list_numbers(read_epoch(StepPlan(rows, 64, seed=3), 1)) == epoch
    assert list_numbers(read_epoch(StepPlan(rows, 64, seed=4), 1)) != epoch
    assert plan.read_shuffled(plan.epoch_steps + 5)[:, 0].tolist() == epoch[5]


def test_a_run_that_goes_on_has_the_steps_that_are_left(rows):
    plan = StepPlan(rows, 64, seed=3)
    last = 2 * plan.epoch_steps
    whole = list_numbers(batch["tokens"].numpy() for batch in build_step_dataset(plan, mask, last))
    assert len(whole) == last
    rest = list(build_step_dataset(plan, mask, last, first_step=plan.epoch_steps + 2))
    assert list_numbers(batch["tokens"].numpy() for batch in rest) == whole[plan.epoch_steps + 2 :]
    assert [int(batch["shown"][0, 0]) for batch in rest] == list(range(plan.epoch_steps + 2, last))


def test_replicas_share_the_rows_of_a_step(rows):
    plan = StepPlan(rows, 64, seed=3)
    whole = list(build_step_dataset(plan, mask, 20))
    parts = list(build_step_dataset(plan, mask, 20, replicas=3))
    for step, batch in enumerate(whole):
        for part in range(3):
            for name, values in parts[3 * step + part].items():
                np.testing.assert_array_equal(values, batch[name][part::3])


def test_a_worker_reads_the_parts_of_its_own_replicas(rows):
    plan = StepPlan(rows, 64, seed=3)
    parts = list(build_step_dataset(plan, mask, 20, replicas=4))
    own = list(build_step_dataset(plan, mask, 20, replicas=4, own=(2, 3)))
    assert len(own) == 40
    for number, batch in enumerate(own):
        for name, values in batch.items():
            np.testing.assert_array_equal(values, parts[number // 2 * 4 + 2 + number % 2][name])


def test_held_out_rows_come_once_each_with_the_number_of_their_step(rows):
    batches = list(build_held_out_dataset(StepPlan(rows, 64), mask))
    assert sum(list_numbers(batch["tokens"].numpy() for batch in batches), []) == list(range(171))
    assert [int(batch["shown"][0, 0]) for batch in batches] == list(range(27))
