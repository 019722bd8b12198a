"""A comparison from config to report: what is run, what is not run again, what is said of a loss that diverges."""

import csv
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import build_list
from tfr_listbert.config import CompareConfig, build_dataclass, write_config
from tfr_listbert.evaluation.comparison import compare
from tfr_listbert.evaluation.comparison.folds import prepare_folds
from tfr_listbert.evaluation.comparison.plan import plan_rows, plan_seeds, plan_trials
from tfr_listbert.evaluation.comparison.tables import SHOWN_METRICS
from tfr_listbert.lists.elwc import read_lists, write_shards
from tfr_listbert.schema import InputError
from tfr_listbert.training import trainer
from tfr_listbert.training.experiments.outcome import (
    OUTCOME_FILE,
    SCORES_FILE,
    SETTINGS_FILE,
    keep_settings,
    read_outcome,
    read_scores,
    run_to_end,
)
from tfr_listbert.training.experiments.run import Trial
from tfr_listbert.training.rankers import read_ranker, score_split

from .conftest import build_outcome


def with_compare(config, output, **settings):
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, buckets=1),
        train=dataclasses.replace(config.train, epochs=1, batch_lists=24, evaluate_steps=2),
        compare=build_dataclass(CompareConfig, {"output": str(output), **settings}, "compare"),
    )


@pytest.fixture
def ran(monkeypatch, build_runner):
    """Runs in this process, which saves each its start; gives those that were run."""
    runs = []
    monkeypatch.setattr(compare, "run_all", build_runner(runs))
    return runs


def test_settings_are_chosen_by_trials_and_a_loss_that_diverges_is_said_to(tiny_config, tmp_path, ran, capsys):
    losses = [
        {"name": "good", "loss": "softmax_loss", "learning_rates": [1e-3, 1e20]},
        {"name": "wild", "loss": "mean_squared_loss", "learning_rates": [1e20, 1e21]},
    ]
    config = with_compare(tiny_config, tmp_path / "out", losses=losses, seeds=[7])
    compare.compare_losses(config)
    trials = [f"good/trials/rate={rate}" for rate in ("0.001", "1e+20")]
    trials += [f"wild/trials/rate={rate}" for rate in ("1e+20", "1e+21")]
    assert [str(run.folder.relative_to(tmp_path / "out")) for run in ran] == [*trials, "good/7"]
    assert f"{tmp_path}/out/good/7 has ended already" in capsys.readouterr().out  # as a trial, which is not repeated
    with open(tmp_path / "out/results.csv") as file:
        lines = list(csv.DictReader(file))
    rows = {row["system"]: row for row in lines if row["metric"] == "ndcg_10"}
    assert len(lines) == len(rows) * len(SHOWN_METRICS)
    assert rows.keys() == {"good", "wild", "random", "bm25", "shown"}
    assert rows["wild"]["marks"] == "diverged in every trial"
    assert "| wild | rate=1e+20 |  | – | 0 | diverged |" in (tmp_path / "out/report.md").read_text()

    ran.clear()
    compare.compare_losses(config)
    assert ran == []

    def dry(config):
        return dataclasses.replace(config, compare=dataclasses.replace(config.compare, dry_run=True))

    capsys.readouterr()
    compare.compare_losses(dry(config))
    told = "4 trials and 1 runs, all of them ended already: nothing is left to do but to write the report.\n"
    assert capsys.readouterr().out == told
    changed = dataclasses.replace(config, train=dataclasses.replace(config.train, batch_lists=12))
    for own in (changed, dry(changed)):
        with pytest.raises(InputError, match=r"holds a run with other settings: train.batch_lists \(was 24, is 12\)"):
            compare.compare_losses(own)


def test_a_dry_run_counts_and_writes_nothing(tiny_config, tmp_path, ran, capsys):
    losses = [{"loss": "softmax_loss"}, {"name": "frozen", "loss": "softmax_loss", "is_frozen": True}]
    settings = {"losses": losses, "learning_rates": [0.1, 0.2], "dry_run": True, "folds": 3}
    config = with_compare(tiny_config, tmp_path / "out", **settings)
    compare.compare_losses(config)
    assert "12 trials and 18 runs, 0 of them ended already; the others take about" in capsys.readouterr().out
    assert ran == [] and not (tmp_path / "out").exists()


def test_a_comparison_of_other_losses_alone_is_not_overwritten(tiny_config, tmp_path, ran):
    config = with_compare(tiny_config, tmp_path / "out", losses=[{"loss": "softmax_loss"}], learning_rates=[1e-3])
    [run, *_] = plan_seeds(config, plan_rows(config.compare)[0], Trial(1e-3), config.data.lists, 0)
    keep_settings(run.config)
    for dry_run in (False, True):
        settings = {"losses": [{"loss": "list_mle_loss"}], "learning_rates": [1e-3], "dry_run": dry_run}
        with pytest.raises(InputError, match=r"`compare.output` .* of softmax_loss, and none of list_mle_loss: its"):
            compare.compare_losses(with_compare(tiny_config, tmp_path / "out", **settings))
    settings["losses"].append({"loss": "softmax_loss"})  # more losses in one report
    compare.compare_losses(with_compare(tiny_config, tmp_path / "out", **settings))
    assert ran == []


def test_each_query_is_tested_in_one_fold_and_trained_on_in_others(tiny_config, tmp_path):
    config = with_compare(tiny_config, tmp_path / "out", folds=4)
    folds = prepare_folds(config, config.compare.output)
    asked = [
        [{one.query for one in read_lists(fold.lists, split)} for split in ("train", "validation", "test")]
        for fold in folds
    ]
    for train, validation, test in asked:
        assert not train & test and not train & validation and not validation & test
    count = sum(len(list(read_lists(fold.lists, "test"))) for fold in folds)
    assert count == 96 + 16 + 24
    trained = [one for fold in folds for one in read_lists(fold.lists, "train")]
    assert all(len({document.label for document in one.documents}) > 1 for one in trained)
    assert prepare_folds(config, config.compare.output) == folds
    with pytest.raises(InputError, match="holds 4 folds of"):
        prepare_folds(with_compare(tiny_config, tmp_path / "out", folds=3), tmp_path / "out")
    write_shards(map(build_list, range(95)), tmp_path / "other", "train")
    other = dataclasses.replace(config, data=dataclasses.replace(config.data, lists=str(tmp_path / "other")))
    with pytest.raises(InputError, match=r"holds 4 folds of lists with the hash \w+, not 4 folds of lists with"):
        prepare_folds(other, tmp_path / "out")


def test_a_query_of_two_time_windows_is_tested_once_by_its_later_list(tiny_config, tmp_path):
    write_shards(map(build_list, range(40)), tmp_path / "lists", "train")
    later = [dataclasses.replace(build_list(number), query_count=1000) for number in range(30, 50)]
    write_shards(later, tmp_path / "lists", "test")
    config = dataclasses.replace(tiny_config, data=dataclasses.replace(tiny_config.data, lists=str(tmp_path / "lists")))
    folds = prepare_folds(with_compare(config, tmp_path / "out", folds=3), tmp_path / "out")
    tested = [one for fold in folds for one in read_lists(fold.lists, "test")]
    counts = {one.query_id: one.query_count for one in tested}
    assert len(tested) == len(counts) == 50
    assert all((count == 1000) == (int(name.removeprefix("q")) >= 30) for name, count in counts.items())


def test_a_query_that_a_log_spells_otherwise_in_another_window_is_tested_once(tiny_config, tmp_path):
    for split, form in (("train", "Coat {}"), ("test", "coat {}")):
        names = [form.format(number) for number in range(20)]
        own = (dataclasses.replace(build_list(0), query_id=name, query=name) for name in names)
        write_shards(own, tmp_path / "lists", split)
    config = dataclasses.replace(tiny_config, data=dataclasses.replace(tiny_config.data, lists=str(tmp_path / "lists")))
    folds = prepare_folds(with_compare(config, tmp_path / "out", folds=3), tmp_path / "out")
    tested = sorted(one.query for fold in folds for one in read_lists(fold.lists, "test"))
    assert tested == sorted(f"coat {number}" for number in range(20))


def test_runs_of_data_that_have_changed_since_are_refused(tiny_config, tmp_path, ran):
    copies = {name: tmp_path / name for name in ("lists", "tokenizer")}
    shutil.copytree(tiny_config.data.lists, copies["lists"])
    shutil.copytree(tiny_config.text.folder, copies["tokenizer"])
    config = with_compare(tiny_config, tmp_path / "out", losses=[{"loss": "softmax_loss"}], learning_rates=[1e-3])
    config = dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, lists=str(copies["lists"])),
        text=dataclasses.replace(config.text, folder=str(copies["tokenizer"])),
    )
    [run, *_] = plan_seeds(config, plan_rows(config.compare)[0], Trial(1e-3), config.data.lists, 0)
    run_to_end(run.config, run.is_trial)
    assert read_outcome(run).is_finished
    moved = tmp_path / "moved"
    copies["lists"].rename(moved)
    elsewhere = dataclasses.replace(run.config, data=dataclasses.replace(run.config.data, lists=str(moved)))
    assert read_outcome(dataclasses.replace(run, config=elsewhere)).is_finished  # contents count, not places
    moved.rename(copies["lists"])

    (run.folder / OUTCOME_FILE).rename(tmp_path / "kept.json")  # as if it had been killed
    [shard] = copies["lists"].glob("validation-*")
    [other] = copies["lists"].glob("test-*")
    before = shard.read_bytes()
    shard.write_bytes(other.read_bytes())
    for call in (lambda: compare.compare_losses(config), lambda: run_to_end(run.config, False)):
        with pytest.raises(InputError, match=r"with other settings: contents.data.lists \(was '\w+', is '\w+'\)\. "):
            call()
    shard.write_bytes(before)
    (tmp_path / "kept.json").rename(run.folder / OUTCOME_FILE)
    assert read_outcome(run).is_finished
    (copies["tokenizer"] / "sentencepiece.model").write_bytes(b"another")
    with pytest.raises(InputError, match=r"with other settings: contents.text.folder"):
        read_outcome(run)


def test_test_lists_are_scored_as_they_would_be_served(tiny_config, tmp_path):
    config = with_compare(tiny_config, tmp_path / "out", losses=[{"loss": "softmax_loss"}], learning_rates=[1e-3])
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, precision="mixed_bfloat16"))
    [run, *_] = plan_seeds(config, plan_rows(config.compare)[0], Trial(1e-3), config.data.lists, 0)
    run_to_end(run.config, run.is_trial)
    served = score_split(run.config, read_ranker(run.folder), "test")
    for scored, expected in zip(read_scores(run), served, strict=True):
        np.testing.assert_allclose(scored.scores, expected.scores, atol=1e-5)


@pytest.mark.parametrize("was_there", [True, False])
def test_a_run_with_another_start_is_refused(tiny_config, tmp_path, was_there):
    config = with_compare(tiny_config, tmp_path / "out", losses=[{"loss": "softmax_loss"}])
    [run, *_] = plan_seeds(config, plan_rows(config.compare)[0], Trial(1e-3), config.data.lists, 0)
    keep_settings(run.config)
    settings = json.loads((run.folder / SETTINGS_FILE).read_text())
    if was_there:
        settings["contents"]["encoder.initial"] = "abc"  # it had started from other weights
    else:
        del settings["contents"]["text.folder"]
    (run.folder / SETTINGS_FILE).write_text(json.dumps(settings))
    was = r"encoder.initial \(was 'abc', is None\)" if was_there else r"text.folder \(was None, is '\w+'\)"
    with pytest.raises(InputError, match=f"with other settings: contents.{was}"):
        read_outcome(run)


def test_nothing_is_chosen_while_a_trial_has_failed(tiny_config, tmp_path, monkeypatch):
    config = with_compare(tiny_config, tmp_path, losses=[{"loss": "softmax_loss"}], learning_rates=[1e-3, 3e-3])
    [row] = plan_rows(config.compare)
    runs = plan_trials(config, row, config.data.lists, 0)
    ends = {1e-3: build_outcome([0.5]), 3e-3: dataclasses.replace(build_outcome([]), is_failed=True)}
    monkeypatch.setattr(compare, "read_end", lambda run: ends[run.trial.learning_rate])
    assert compare._choose(row, runs) is None
    ends[3e-3] = build_outcome([0.6])
    assert compare._choose(row, runs).learning_rate == 3e-3


@pytest.mark.parametrize(("name", "value"), [("checkpoint", "last"), ("relevant_from", 2.0)])
def test_a_run_that_was_scored_otherwise_is_refused(tiny_config, tmp_path, name, value):
    config = with_compare(tiny_config, tmp_path / "out", losses=[{"loss": "softmax_loss"}])
    [run, *_] = plan_seeds(config, plan_rows(config.compare)[0], Trial(1e-3), config.data.lists, 0)
    keep_settings(run.config)
    other = dataclasses.replace(run.config.evaluate, **{name: value})
    with pytest.raises(InputError, match=rf"with other settings: evaluate.{name} \(was .*, is {value!r}\)"):
        read_outcome(dataclasses.replace(run, config=dataclasses.replace(run.config, evaluate=other)))


def test_a_diverged_run_keeps_what_it_saw_before(tiny_config, tmp_path, monkeypatch):
    rows = []

    class AtStep4(trainer.DivergenceCheck):
        def on_step(self, step, logs):
            super().on_step(step, logs | ({"loss": float("nan")} if step == 4 else {}))
            rows.append(int(logs["rows"]))

    monkeypatch.setattr(trainer, "DivergenceCheck", AtStep4)
    config = with_compare(tiny_config, tmp_path / "out", losses=[{"loss": "softmax_loss"}])
    [run, *_] = plan_seeds(config, plan_rows(config.compare)[0], Trial(1e-3), config.data.lists, 0)
    run_to_end(run.config, run.is_trial)
    outcome = read_outcome(run)
    assert outcome.is_diverged and "its loss is nan at step 4" in outcome.message
    assert len(rows) == 3 and outcome.pairs == sum(rows)
    assert [entry["step"] for entry in outcome.history] == [2]
    assert (outcome.best_step, outcome.best_value) == (2, outcome.history[0]["ndcg_10"])


@pytest.mark.soak
def test_a_run_whose_process_fails_is_a_row_and_is_tried_again(tiny_config, tmp_path, ran, monkeypatch):
    run_here = compare.run_all

    def fail_at_b(open_runs, jobs, on_end):
        run_here([run for run in open_runs if run.loss != "b"], jobs, on_end)
        return [run for run in open_runs if run.loss == "b"]

    losses = [{"name": "a", "loss": "softmax_loss"}, {"name": "b", "loss": "list_mle_loss"}]
    config = with_compare(tiny_config, tmp_path / "out", losses=losses, learning_rates=[1e-3], seeds=[1])
    monkeypatch.setattr(compare, "run_all", fail_at_b)
    for _ in range(2):
        with pytest.raises(InputError, match=r"1 runs failed; their logs say why: .*b/1/log.txt. Call again to go on."):
            compare.compare_losses(config)
    assert len(ran) == 1
    report = (tmp_path / "out/report.md").read_text()
    assert "failed: 1 of 1 runs" in report
    assert f"failed: its process failed; {tmp_path}/out/b/1/log.txt says why" in report
    monkeypatch.setattr(compare, "run_all", run_here)
    assert [system.name for system in compare.compare_losses(config).systems if system.finished][:2] == ["a", "b"]
    assert [run.loss for run in ran] == ["a", "b"]


@pytest.mark.soak
def test_a_learning_rate_of_1e3_gives_a_marked_row(tiny_config, tmp_path, ran):
    losses = [{"name": "far", "loss": "softmax_loss", "learning_rates": [1e3]}]
    compare.compare_losses(with_compare(tiny_config, tmp_path / "out", losses=losses, seeds=[1]))
    [row] = [line for line in (tmp_path / "out/report.md").read_text().splitlines() if line.startswith("| far |")][:1]
    assert "diverged: 1 of 1 runs" in row or "not shown to beat random order" in row


@pytest.mark.soak
def test_one_query_is_told(tiny_config, tmp_path, ran):
    lists = tmp_path / "lists"
    shutil.copytree(tiny_config.data.lists, lists)
    [shard] = lists.glob("test-*")
    shard.unlink()
    write_shards([build_list(200)], lists, "test")
    losses = [{"name": "good", "loss": "softmax_loss"}]
    config = with_compare(tiny_config, tmp_path / "out", losses=losses, learning_rates=[1e-3], seeds=[1])
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, lists=str(lists)))
    compare.compare_losses(config)
    report = (tmp_path / "out/report.md").read_text()
    assert "There is one test query: nothing can be said of other queries" in report and "nan" not in report
    [row] = [line.split(" | ") for line in report.splitlines() if line.startswith("| good | a |")][:1]
    assert row[3:5] == ["–", "–"]  # spread over seeds, interval over queries


@pytest.mark.soak
def test_a_comparison_that_was_killed_ends_as_an_undisturbed_one(tiny_config, tmp_path):
    losses = [{"name": "a", "loss": "softmax_loss"}, {"name": "b", "loss": "list_mle_loss"}]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for output in (killed, whole):
        config = with_compare(tiny_config, output, losses=losses, learning_rates=[1e-3], seeds=[1, 2], jobs=2)
        train = dataclasses.replace(config.train, epochs=60, evaluate_steps=8, checkpoint_steps=4)
        write_config(dataclasses.replace(config, train=train), f"{output}.yaml")
    command = [sys.executable, "pipelines/compare_losses.py", f"{killed}.yaml"]
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 300
    while not (list(killed.glob(f"*/1/{OUTCOME_FILE}")) and list((killed / "b").glob("*/checkpoints/checkpoint"))):
        assert time.monotonic() < until and first.poll() is None
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    time.sleep(5)  # the runs end with their parent
    begun = list_begun(killed)
    ended = {path: path.stat().st_mtime_ns for path in killed.glob(f"*/*/{OUTCOME_FILE}")}
    assert not (killed / "report.md").exists()
    steps = {run: int(tf.train.latest_checkpoint(str(run / "checkpoints")).rpartition("-")[2]) for run in begun}
    steps = {run: step for run, step in steps.items() if step < 240}  # another may have been at its last words
    assert steps
    for output in (killed, whole):
        command = [sys.executable, "pipelines/compare_losses.py", f"{output}.yaml"]
        subprocess.run(command, check=True, timeout=600, capture_output=True)
    found = {path: path.stat().st_mtime_ns for path in killed.glob(f"*/*/{OUTCOME_FILE}")}
    assert len(found) == 4 and ended.items() <= found.items()
    for run, step in steps.items():
        assert re.search(rf" {step}/240 ", (run / "log.txt").read_text())  # its bar went on from there
    for path in found:
        own, other = (json.loads(one.read_text()) for one in (path, whole / path.relative_to(killed)))
        assert own | {"seconds": 0} == other | {"seconds": 0}
        scores = [folder / path.parent.relative_to(killed) / SCORES_FILE for folder in (killed, whole)]
        np.testing.assert_array_equal(*(np.load(file)["scores"] for file in scores))
    assert (killed / "results.csv").read_text() == (whole / "results.csv").read_text()


def list_begun(output):
    """Returns the folders of runs with a checkpoint, but no end."""
    folders = [path.parents[1] for path in output.glob("*/*/checkpoints/checkpoint")]
    return [folder for folder in folders if not (folder / OUTCOME_FILE).exists()]
