"""Batches of rows: what is in them, and in which order they come."""

import numpy as np
import pytest

from tfr_listbert.config import TrainConfig
from tfr_listbert.lists.elwc import list_shards, read_lists, write_shards
from tfr_listbert.rows.dataset import build_dataset, build_step_dataset
from tfr_listbert.rows.list_index import index_lists
from tfr_listbert.rows.training_order import StepDeal
from tfr_listbert.schema import InputError
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.rankers import build_batcher


@pytest.fixture(scope="module")
def batcher(tiny_config):
    return build_batcher(tiny_config, read_tokenizer(tiny_config.text.folder))


def list_queries(dataset):
    return [[name.decode() for name in batch["query_ids"]] for batch in dataset.as_numpy_iterator()]


def build_steps(tiny_config, batcher, first_step=0, replicas=1, own=None, **settings):
    index = index_lists(list_shards(tiny_config.data.lists, "train"))
    deal = StepDeal(index, TrainConfig(**{"seed": 3, "epochs": 2, "batch_lists": 10, **settings}))
    return build_step_dataset(index, batcher, deal, first_step, replicas, own)


def test_a_batch_has_one_row_for_each_document(tiny_config, batcher):
    lists = list(read_lists(tiny_config.data.lists, "test"))[:5]
    batch = next(iter(build_dataset(tiny_config.data.lists, "test", batcher, 5)))
    sizes = [len(one.documents) for one in lists]
    assert batch["mask"].shape == (5, max(sizes))
    np.testing.assert_array_equal(batch["mask"].numpy().sum(axis=1), sizes)
    assert batch["tokens"].nrows() == sum(sizes)
    prices = [document.features["price"] for one in lists for document in one.documents]
    np.testing.assert_allclose(batch["features"][:, 0], np.array(prices, np.float32))
    labels = [document.label for one in lists for document in one.documents]
    np.testing.assert_array_equal(batch["labels"].numpy()[batch["mask"].numpy()], labels)
    assert (batch["labels"].numpy()[~batch["mask"].numpy()] < 0).all()


def test_document_keys_are_of_query_and_document(tiny_config, batcher):
    batch = next(iter(build_dataset(tiny_config.data.lists, "test", batcher, 24)))
    keys = batch["document_keys"].numpy()[batch["mask"].numpy()]
    lists = read_lists(tiny_config.data.lists, "test")
    pairs = [(one.query, document.document_id) for one in lists for document in one.documents]
    assert len(set(keys.tolist())) == len(set(pairs)) == len(set(zip(keys.tolist(), pairs, strict=True)))
    again = next(iter(build_dataset(tiny_config.data.lists, "test", batcher, 3)))
    size = batch["mask"].numpy()[0].sum()
    np.testing.assert_array_equal(again["document_keys"][0, :size], batch["document_keys"][0, :size])


def test_lists_that_are_written_anew_are_not_read_by_the_places_of_the_old_ones(tiny_config, tmp_path):
    lists = list(read_lists(tiny_config.data.lists, "test"))
    write_shards(lists, tmp_path, "train")
    index = index_lists(list_shards(tmp_path, "train"))
    assert len(index.read(np.array([0, 1]))) == 2
    (path,) = tmp_path.iterdir()
    path.unlink()
    write_shards(lists, tmp_path, "train")
    with pytest.raises(InputError, match="was written anew while it was being read"):
        index.read(np.array([1]))


def test_every_epoch_has_every_list_once_in_an_order_of_its_own(tiny_config, batcher):
    steps = list_queries(build_steps(tiny_config, batcher))
    assert [len(step) for step in steps] == ([10] * 9 + [6]) * 2
    first, second = sum(steps[:10], []), sum(steps[10:], [])
    assert len(set(first)) == 96 and sorted(first) == sorted(second) and first != second


def test_the_order_follows_the_seed(tiny_config, batcher):
    once = list_queries(build_steps(tiny_config, batcher))
    assert list_queries(build_steps(tiny_config, batcher)) == once
    assert list_queries(build_steps(tiny_config, batcher, seed=4)) != once


def test_leaving_out_steps_leaves_the_others_as_they_are(tiny_config, batcher):
    assert (
        list_queries(build_steps(tiny_config, batcher, first_step=13))
        == list_queries(build_steps(tiny_config, batcher))[13:]
    )


def test_replicas_share_the_lists_of_a_step(tiny_config, batcher):
    whole = list_queries(build_steps(tiny_config, batcher, epochs=1))
    parts = list_queries(build_steps(tiny_config, batcher, epochs=1, replicas=4))
    assert len(parts) == 4 * len(whole)
    assert [sorted(sum(parts[4 * step : 4 * step + 4], [])) for step in range(10)] == [sorted(step) for step in whole]


def test_a_feature_that_the_lists_lack_is_named(tiny_config, batcher):
    import dataclasses

    with pytest.raises(InputError, match="prise"):
        build_dataset(tiny_config.data.lists, "test", dataclasses.replace(batcher, features=("prise",)), 5)
