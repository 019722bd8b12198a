"""Lists by number, and dealt out to steps by a budget of tokens."""

import dataclasses

import numpy as np
import pytest

from tfr_listbert.config import TrainConfig
from tfr_listbert.lists.elwc import build_elwc, parse_elwc, read_lists
from tfr_listbert.rows.list_index import count_examples
from tfr_listbert.rows.training_order import StepDeal
from tfr_listbert.schema import Document, InputError, RankedList
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.rankers import build_batcher
from tfr_listbert.training.ranking import index_training_lists


@pytest.fixture(scope="module")
def index(tiny_config):
    return index_training_lists(
        dataclasses.replace(tiny_config, train=dataclasses.replace(tiny_config.train, cache_tokens=True)),
        build_batcher(tiny_config, read_tokenizer(tiny_config.text.folder)),
    )


def deal(index, **settings):
    settings = {"seed": 3, "epochs": 2, "batch_lists": None, "batch_tokens": 300, **settings}
    return StepDeal(index, TrainConfig(**settings))


def test_lists_are_read_by_number_from_any_shard(tiny_config, index):
    lists = list(read_lists(tiny_config.data.lists, "train"))
    assert len(index) == len(lists) == 96 and len(index.shards) == 3
    assert index.rows.tolist() == [len(one.documents) for one in lists]
    numbers = np.array([95, 0, 41, 41])
    read = [parse_elwc(record, "train") for record in index.read(numbers)]
    assert [one.query_id for one in read] == [lists[number].query_id for number in numbers]


@pytest.mark.parametrize("size", [0, 1, 300])
def test_examples_are_counted_behind_fields_of_any_length(size):
    documents = tuple(Document(f"d{slot}", {"title": "x" * slot**2}, 0.0) for slot in range(size))
    assert count_examples(build_elwc(RankedList("q", "y" * 40_000, documents)).SerializeToString()) == size


def test_steps_hold_as_many_lists_as_fit_the_budget(index):
    steps = deal(index)
    for epoch in (range(steps.epoch_steps), range(steps.epoch_steps, steps.steps)):
        assert sorted(np.concatenate([steps.choose(step) for step in epoch])) == list(range(96))
    costs = index.count_tokens()
    tokens = [costs[steps.choose(step)].sum() for step in range(steps.steps)]
    assert max(tokens) <= 300 and np.mean(tokens) > 200
    for step in range(steps.epoch_steps - 1):
        assert tokens[step] + costs[steps.choose(step + 1)[0]] > 300


def test_a_list_beyond_the_budget_is_a_step_of_its_own(index):
    steps = deal(index, batch_tokens=1, epochs=1)
    assert steps.steps == 96
    assert all(len(steps.choose(step)) == 1 for step in range(96))


def test_the_steps_are_a_function_of_seed_and_number(index):
    once, again, other = deal(index), deal(index), deal(index, seed=4)
    last = once.steps - 1
    np.testing.assert_array_equal(again.choose(last), once.choose(last))
    assert not np.array_equal(other.choose(0), once.choose(0))
    assert not np.array_equal(once.choose(0), once.choose(once.epoch_steps))


def test_exactly_one_budget_is_set():
    assert TrainConfig(batch_lists=None, batch_tokens=64).batch_text == "at most 64 tokens"
    assert TrainConfig().batch_text == "16 lists"
    for both in ({"batch_tokens": 64}, {"batch_lists": None}):
        with pytest.raises(InputError, match="train.batch_tokens` must be one number and one null: set the other"):
            TrainConfig(**both)
