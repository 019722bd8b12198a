"""What a training run is asked for is checked before it begins."""

import dataclasses

import pytest

from tfr_listbert.folders import lock_folder
from tfr_listbert.lists.elwc import read_lists, write_shards
from tfr_listbert.rows.profile import RowProfile
from tfr_listbert.schema import InputError
from tfr_listbert.training.ranking import train_ranker
from tfr_listbert.training.run_folder import open_run


def test_lists_to_choose_by_are_asked_for_before_the_run_begins(tiny_config, tmp_path):
    write_shards(read_lists(tiny_config.data.lists, "train"), tmp_path / "lists", "train")
    data = dataclasses.replace(tiny_config.data, lists=str(tmp_path / "lists"))
    train = dataclasses.replace(tiny_config.train, run=str(tmp_path / "run"))
    with pytest.raises(InputError, match="validation"):
        train_ranker(dataclasses.replace(tiny_config, data=data, train=train))
    assert not (tmp_path / "run").exists()


def test_a_run_that_another_process_trains_is_refused(tiny_config, tmp_path):
    run = tmp_path / "run"
    config = dataclasses.replace(tiny_config, train=dataclasses.replace(tiny_config.train, run=str(run)))
    open_run(config, lambda: RowProfile((25,), (25.0,), (12.0,)))
    with lock_folder(run, "of the test"), pytest.raises(InputError, match="Another process is training in `train.run`"):
        train_ranker(config)


def test_a_misspelt_metric_is_answered_before_the_run_begins(tiny_config, tmp_path):
    train = dataclasses.replace(tiny_config.train, run=str(tmp_path / "run"), metric="ndgc_10")
    with pytest.raises(InputError, match="`train.metric` names no metric: got 'ndgc_10'. Did you mean 'ndcg_10'"):
        train_ranker(dataclasses.replace(tiny_config, train=train))
    assert not (tmp_path / "run").exists()
