"""Evaluation of a trained ranker: the files it leaves, and judgements in place of labels."""

import csv
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval

from tfr_listbert.config import Config, EvaluateConfig
from tfr_listbert.evaluation.evaluate import evaluate_ranker, format_results, format_trec, list_warnings
from tfr_listbert.evaluation.judgements import describe_grades, judge_lists, read_configured_grades
from tfr_listbert.evaluation.systems import build_baselines, build_bm25, score_with
from tfr_listbert.lists.elwc import read_lists
from tfr_listbert.lists.grades import read_grades
from tfr_listbert.metrics import ScoredList
from tfr_listbert.schema import Document, InputError, RankedList
from tfr_listbert.training.ranking import train_ranker
from tfr_listbert.training.run_folder import compute_version


@pytest.fixture(scope="module")
def run_config(tiny_config, tmp_path_factory):
    run = str(tmp_path_factory.mktemp("evaluate") / "run")
    train = dataclasses.replace(tiny_config.train, run=run, epochs=1, checkpoint_steps=8)
    config = dataclasses.replace(tiny_config, train=train)
    train_ranker(config)
    evaluate_ranker(config)
    return config


def read_results(config):
    folder = f"{config.train.run}/evaluation/test"
    with open(f"{folder}/per_query.csv") as file:
        rows = list(csv.DictReader(file))
    with open(f"{folder}/metrics.json") as file:
        return json.load(file), rows, open(f"{folder}/run.trec").read().splitlines()


def test_the_run_file_and_the_tables_agree_with_trec_eval(run_config):
    results, rows, lines = read_results(run_config)
    run, qrels = {}, {}
    for line in lines:
        query_id, _, document_id, _, score, _ = line.split()
        run.setdefault(query_id, {})[document_id] = float(score)
    for one in read_lists(run_config.data.lists, "test"):
        qrels[one.query_id] = {document.document_id: int(2**document.label - 1) for document in one.documents}
    judged = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(run)
    ours = {row["query_id"]: float(row["ndcg_10"]) for row in rows if row["system"] == "ranker"}
    assert len(ours) == 24
    for query_id, value in ours.items():
        assert value == pytest.approx(judged[query_id]["ndcg_cut_10"], abs=1e-6)
    assert results["slices"]["all"]["ranker"]["ndcg_10"] == pytest.approx(np.mean(list(ours.values())), abs=1e-6)


def test_seen_and_unseen_queries_are_given_apart(run_config):
    results, rows, _ = read_results(run_config)
    systems = {"random", "bm25", "shown", "bag_of_words", "ranker"}
    assert results["slices"].keys() == {"all", "seen in training", "unseen"}
    for name, flag in {"seen in training": "1", "unseen": "0"}.items():
        assert results["slices"][name].keys() == systems
        own = [float(row["map"]) for row in rows if row["is_seen"] == flag and row["system"] == "bm25"]
        assert results["slices"][name]["bm25"]["lists"] == len(own) == 12
        assert results["slices"][name]["bm25"]["map"] == pytest.approx(np.mean(own), abs=1e-6)


def test_the_shown_order_is_that_of_positions(run_config):
    lists = list(read_lists(run_config.data.lists, "test"))
    shown = score_with(build_baselines(build_bm25(run_config), lists)["shown"], lists)
    assert all((np.diff(one.scores) < 0).all() for one in shown)
    hidden = [dataclasses.replace(lists[0], documents=(dataclasses.replace(lists[0].documents[0], position=0),))]
    assert "shown" not in build_baselines(build_bm25(run_config), hidden)


def test_judgements_replace_labels_and_what_is_not_judged_counts_nothing(tmp_path):
    path = tmp_path / "grades.csv"
    path.write_text("query,document_id,grade\nRed  Dress,a,3\nred dress,c,1.5\n")
    documents = tuple(Document(name, {}, 2.0) for name in "ab")
    judged = judge_lists([RankedList("1", "red dress", documents)], read_grades(path, "evaluate.judgements"))
    assert [document.label for document in judged[0].documents] == [3.0, 0.0]
    lists = [RankedList("1", "red dress", documents), RankedList("2", "blue hat", documents)]
    config = Config(evaluate=EvaluateConfig(judgements=str(path)))
    text = describe_grades(config, lists, read_configured_grades(config))
    assert "judges 1 of 4 documents, the others count as grade 0, and at least one in 1 of 2 lists" in text
    with pytest.raises(InputError, match="judges no document"):
        judge_lists([RankedList("1", "blue hat", documents)], read_grades(path, "evaluate.judgements"))


def test_any_checkpoint_that_is_kept_can_be_evaluated(run_config, tmp_path):
    run = run_config.train.run
    assert compute_version(run, 10) == compute_version(run, "last") != compute_version(run, 8)
    runs = {}
    for checkpoint in (8, "last"):
        settings = dataclasses.replace(
            run_config.evaluate, checkpoint=checkpoint, output=str(tmp_path / str(checkpoint))
        )
        evaluate_ranker(dataclasses.replace(run_config, evaluate=settings))
        runs[checkpoint] = (tmp_path / str(checkpoint) / "run.trec").read_text()
    assert runs["last"] != runs[8]
    with pytest.raises(InputError, match="no checkpoint of step 9 in .*run, which keeps those of the steps 8, 10."):
        evaluate_ranker(dataclasses.replace(run_config, evaluate=dataclasses.replace(settings, checkpoint=9)))


def test_results_of_a_run_that_was_killed_say_so(run_config, tmp_path, capsys):
    run, output = tmp_path / "run", tmp_path / "out"
    shutil.copytree(run_config.train.run, run)
    (run / "metrics.json").unlink()
    train = dataclasses.replace(run_config.train, run=str(run))
    evaluate = dataclasses.replace(run_config.evaluate, output=str(output))
    evaluate_ranker(dataclasses.replace(run_config, train=train, evaluate=evaluate))
    told = f"Beware: training of {run} has not ended (its newest checkpoint is of step 10)"
    assert told in capsys.readouterr().out
    assert json.loads((output / "metrics.json").read_text())["warning"].startswith(told)
    assert "warning" not in json.loads(Path(run_config.train.run, "evaluation/test/metrics.json").read_text())


def test_results_take_no_folder_that_holds_something_else(run_config):
    runs = Path(run_config.train.run).parent
    files = sorted(runs.rglob("*"))
    for output in (runs, run_config.train.run):
        config = dataclasses.replace(run_config, evaluate=dataclasses.replace(run_config.evaluate, output=str(output)))
        with pytest.raises(InputError, match="`evaluate.output` names .* which has other files in it"):
            evaluate_ranker(config)
    assert sorted(runs.rglob("*")) == files


def test_a_run_that_is_not_there_is_named(tiny_config, tmp_path):
    config = dataclasses.replace(tiny_config, train=dataclasses.replace(tiny_config.train, run=str(tmp_path / "none")))
    with pytest.raises(InputError, match="There is no run in"):
        evaluate_ranker(config)
    assert not list(tmp_path.iterdir())  # or `train` would take its own run folder for somebody else's


def test_a_ranker_that_is_worse_than_another_system_is_said_to_be():
    row = {"lists": 9, "lists_without_relevant": 0, "ndcg_10": 0.5, "interval": [0.4, 0.6]}
    worse = row | {"ranker_difference": -0.1, "ranker_p": 0.01}
    better = row | {"ranker_difference": 0.1, "ranker_p": 0.01}
    unsure = row | {"ranker_difference": -0.1, "ranker_p": 0.2}
    systems = {
        "random": better,
        "shown": unsure,
        "bm25": worse,
        "ranker": row | {"ranker_difference": 0, "ranker_p": 1},
    }
    text = format_results({"split": "test", "slices": {"all": systems}, "warning": "Beware: other lists."})
    assert text.splitlines()[-2:] == [
        "Beware: the ranker is significantly worse than bm25 (p = 0.0100).",
        "Beware: other lists.",
    ]
    assert text.splitlines()[0] == "test, all queries: 9 lists"
    bare = {name: own | {"lists_without_relevant": 2} for name, own in systems.items()}
    head = format_results({"split": "test", "slices": {"all": bare}}).splitlines()[0]
    assert head.startswith("test, all queries: 9 lists, 2 of them without a relevant document, which count 0")
    [told] = list_warnings({"slices": {"all": systems}}, "the student alone")
    assert told.startswith("Beware: the student alone is significantly worse than bm25")


def test_ids_stay_different_in_a_run_file():
    ids = ["a b", "a%20b", "a\u2003b", "a 03b"]
    one = ScoredList("q", ids, np.zeros(4), np.array([4.0, 3.0, 2.0, 1.0]))
    assert [line.split()[2] for line in format_trec([one])] == ["a%20b", "a%2520b", "a%E2%80%83b", "a%2003b"]
