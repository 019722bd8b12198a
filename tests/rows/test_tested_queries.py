"""Queries that a comparison tests in turn are in nothing that its runs start from."""

import dataclasses
import shutil

import pytest

from tfr_listbert.config import CompareConfig, Config, PretrainConfig, write_config
from tfr_listbert.rows.tested_queries import require_untested_starts
from tfr_listbert.schema import InputError


def test_folds_refuse_a_start_that_was_trained_on_their_queries(tmp_path):
    folded = Config(compare=CompareConfig(folds=5))
    trained = Config()
    for name, config in {
        "same": trained,
        "other": dataclasses.replace(trained, data=dataclasses.replace(trained.data, lists="runs/others")),
        "apart": dataclasses.replace(trained, pretrain=PretrainConfig(lists=False)),
        "folded": folded,
    }.items():
        (tmp_path / name).mkdir()
        write_config(config, tmp_path / name / "config.yaml")
        (tmp_path / name / "corpus.json").touch()
    shutil.copytree(tmp_path / "same", tmp_path / "imported", ignore=shutil.ignore_patterns("corpus.json"))
    require_untested_starts(
        folded, [None, *(str(tmp_path / name) for name in ("other", "apart", "folded", "imported"))]
    )
    require_untested_starts(trained, [str(tmp_path / "same")])
    with pytest.raises(InputError, match="`compare.folds` tests each query in turn, and .*same was trained"):
        require_untested_starts(folded, [str(tmp_path / "same")])
