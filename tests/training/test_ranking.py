"""What a training run is asked for is checked before it begins."""

import dataclasses

import pytest

from tfr_listbert.schema import InputError
from tfr_listbert.training.ranking import train_ranker


def test_a_misspelt_metric_is_answered_before_the_run_begins(tiny_config, tmp_path):
    train = dataclasses.replace(tiny_config.train, run=str(tmp_path / "run"), metric="ndgc_10")
    with pytest.raises(InputError, match="`train.metric` names no metric: got 'ndgc_10'. Did you mean 'ndcg_10'"):
        train_ranker(dataclasses.replace(tiny_config, train=train))
    assert not (tmp_path / "run").exists()
