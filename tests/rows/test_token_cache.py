"""Token rows kept on disk: the same batches as without, made once and whole."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.config import TrainConfig
from tfr_listbert.lists.elwc import list_shards
from tfr_listbert.rows.dataset import build_dataset, build_step_dataset
from tfr_listbert.rows.list_index import index_lists
from tfr_listbert.rows.token_cache import KINDS, open_token_cache
from tfr_listbert.rows.training_order import StepDeal
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.rankers import build_batcher


@pytest.fixture(params=["ranker", "student"])
def batcher(tiny_config, request):
    features = tiny_config.model.features if request.param == "ranker" else ()
    config = dataclasses.replace(
        tiny_config, model=dataclasses.replace(tiny_config.model, type=request.param, features=features)
    )
    return build_batcher(config, read_tokenizer(config.text.folder))


def build_passes(lists, batcher):
    """Returns what makes a pass over the training lists, and those that it has made."""
    made = []

    def build():
        made.append(build_dataset(lists, "train", batcher, 7))
        return made[-1]

    return build, made


def test_batches_are_the_same_with_rows_that_are_kept(tiny_config, batcher, tmp_path):
    index = index_lists(list_shards(tiny_config.data.lists, "train"))
    build, made = build_passes(tiny_config.data.lists, batcher)
    stores = open_token_cache(tmp_path / "tokens", build)
    assert list(stores) == list(KINDS if batcher.is_apart else KINDS[:1])
    again = open_token_cache(tmp_path / "tokens", build)
    assert len(made) == 1
    settings = TrainConfig(seed=3, epochs=2, batch_lists=10)
    indices = (index, dataclasses.replace(index, stores=again))
    # the last steps have fewer lists than replicas
    plain, kept = (list(build_step_dataset(one, batcher, StepDeal(one, settings), replicas=4)) for one in indices)
    assert len(plain) == len(kept) == 2 * 10 * 4
    for batch, other in zip(plain, kept, strict=True):
        assert batch.keys() == other.keys()
        for name, values in batch.items():
            np.testing.assert_array_equal(flatten(values), flatten(other[name]), err_msg=name)


def flatten(values):
    return np.concatenate([values.flat_values, values.row_splits]) if isinstance(values, tf.RaggedTensor) else values


def test_tokens_are_counted_list_by_list(tiny_config, batcher, tmp_path):
    build, _ = build_passes(tiny_config.data.lists, batcher)
    stores = open_token_cache(tmp_path / "tokens", build)
    counted = [
        sum(int(tf.size(batch[kind].flat_values)) for kind in stores)
        for batch in build_dataset(tiny_config.data.lists, "train", batcher, 1)
    ]
    assert sum(store.count_tokens() for store in stores.values()).tolist() == counted


def test_a_pass_that_fails_leaves_nothing(tiny_config, batcher, tmp_path):
    def fail():
        yield from build_dataset(tiny_config.data.lists, "train", batcher, 7).take(3)
        raise KeyboardInterrupt

    build, _ = build_passes(tiny_config.data.lists, batcher)

    class Interrupted:
        element_spec = build().element_spec

        def __iter__(self):
            return fail()

    with pytest.raises(KeyboardInterrupt):
        open_token_cache(tmp_path / "tokens", Interrupted)
    assert not list(tmp_path.iterdir())
    (tmp_path / ".tokens.partial").mkdir()  # of a pass that was killed
    open_token_cache(tmp_path / "tokens", build)
    assert [path.name for path in tmp_path.iterdir()] == ["tokens"]
