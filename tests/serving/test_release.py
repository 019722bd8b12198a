"""A new version goes the whole way: exported, held against the stable one, labelled, and followed by the server."""

import csv
import dataclasses
import re
import shutil
import time

import numpy as np
import pytest
import tensorflow as tf

from serving.local.sources import read_sources
from serving.remote.ranking import RankingClient
from tfr_listbert.export.bundle import export_ranker
from tfr_listbert.export.gate import decide_stable, read_gate_lists, score_with_version
from tfr_listbert.training.checkpoints import RunCheckpoints
from tfr_listbert.training.rankers import read_ranker

TOLERANCE = 5e-3
"""Largest difference of a score by weights in float16."""

DOCUMENTS = [{"title": "red summer dress"}, {"title": "blue denim jacket"}, {"title": "wooden garden chair"}]


@pytest.fixture
def output(export_folder, tmp_path):
    """A folder of its own with the exported version, its files for servers and its run."""
    for name in ("ranker", "ranker.serving", "run"):
        shutil.copytree(export_folder / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def better_config(run_config, output):
    """The config of a run that orders the other way round, and of grades by which it is right to do so."""
    with open(output / "grades.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query", "document_id", "grade"])
        lists = read_gate_lists(run_config)
        scored = zip(lists, score_with_version(output / "ranker" / "1", lists), strict=True)
        longest = {one.query: own for one, own in sorted(scored, key=lambda pair: len(pair[0].documents))}
        for query, own in longest.items():  # lists of one query hold the first of the same documents
            worst_last = np.argsort(-own.scores)
            writer.writerows((query, own.document_ids[slot], grade) for grade, slot in enumerate(worst_last))
    ranker = read_ranker(output / "run")
    for variable in ranker.row_scorer.head.variables:
        variable.assign(-variable)
    optimizer = tf.keras.optimizers.Adam()
    RunCheckpoints(output / "run", ranker.row_scorer.list_objects(), optimizer).save_best(2)
    return dataclasses.replace(
        run_config,
        train=dataclasses.replace(run_config.train, run=str(output / "run")),
        evaluate=dataclasses.replace(run_config.evaluate, judgements=str(output / "grades.csv")),
        export=dataclasses.replace(run_config.export, output=str(output), warmup_lists=(1,), float16=True, onnx=True),
    )


def measure_variables(version):
    """Returns the bytes of a version's variables."""
    return sum(path.stat().st_size for path in (version / "variables").iterdir())


@pytest.mark.soak
def test_better_version_becomes_stable_and_the_server_follows(better_config, output, run_server):
    def read():
        (source,) = read_sources(output / "ranker.serving" / "models.config")
        return [dataclasses.replace(source, base_path=output / "ranker")]

    def ask(**choice):
        with RankingClient(url, "ranker", **choice) as client:
            return client.score("red dress", DOCUMENTS)

    with run_server(read(), read_sources=read) as url:
        before = ask(label="stable")
        export_ranker(better_config)
        card = (output / "ranker" / "2" / "assets.extra" / "model_card.md").read_text()
        judged = re.search(r"Label: `stable`. Its ndcg_10 on 20 test lists is (0.9\d+|1.0000), \+0.", card)
        for what in ("float16 weights", "score_tokens.onnx"):
            told = re.search(rf"{what}: scores of 20 test lists differ by (.+) at most, ndcg_10 is (.+) instead", card)
            assert 0 < float(told[1]) < TOLERANCE and float(told[2]) == pytest.approx(float(judged[1]), abs=0.01)
        assert measure_variables(output / "ranker" / "2") < 0.6 * measure_variables(output / "ranker" / "1")
        assert read()[0].labels == {"stable": 2, "canary": 2} and read()[0].versions == (1, 2, 3)
        deadline = time.monotonic() + 60
        while ask(label="stable") == before and time.monotonic() < deadline:
            time.sleep(0.1)
        for choice in ({"label": "stable"}, {"label": "canary"}, {"version": 2}, {}):
            np.testing.assert_allclose(ask(**choice), np.negative(before), atol=TOLERANCE)
        assert ask(version=1) == before  # still there, for the way back
    versions = [output / "ranker" / number for number in ("1", "2")]
    lists = read_gate_lists(better_config)
    worse = decide_stable(better_config, versions[0], lists, score_with_version(versions[0], lists), versions[1])
    assert "significantly worse" in worse.reason
