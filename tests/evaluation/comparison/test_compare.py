"""A comparison from config to report: what is run, what is not run again, what is said of a loss that diverges."""

import csv
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfr_listbert.config import CompareConfig, build_dataclass, write_config
from tfr_listbert.evaluation.comparison import compare, runs
from tfr_listbert.evaluation.comparison.folds import prepare_folds
from tfr_listbert.evaluation.comparison.runs import run_to_end
from tfr_listbert.lists.elwc import read_lists
from tfr_listbert.schema import InputError


def with_compare(config, output, **settings):
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, buckets=1),
        train=dataclasses.replace(config.train, epochs=1, batch_lists=24, evaluate_steps=2),
        compare=build_dataclass(CompareConfig, {"output": str(output), **settings}, "compare"),
    )


@pytest.fixture
def ran(monkeypatch):
    """Runs in this process, which saves each its start; gives the folders of those that were run."""
    folders = []

    def run_here(open_runs, jobs, on_end):
        for run in open_runs:
            folders.append(str(run.folder))
            run_to_end(run.config, run.is_trial)
            on_end(run)
        return []

    monkeypatch.setattr(compare, "run_all", run_here)
    return folders


def test_settings_are_chosen_by_trials_and_a_loss_that_diverges_is_said_to(tiny_config, tmp_path, ran):
    losses = [
        {"name": "good", "loss": "softmax_loss", "learning_rates": [1e-3, 1e20]},
        {"name": "wild", "loss": "mean_squared_loss", "learning_rates": [1e20, 1e21]},
    ]
    config = with_compare(tiny_config, tmp_path / "out", losses=losses, seeds=[7])
    compare.compare_losses(config)
    trials = [f"good/trials/rate={rate}" for rate in ("0.001", "1e+20")]
    trials += [f"wild/trials/rate={rate}" for rate in ("1e+20", "1e+21")]
    assert [str(Path(folder).relative_to(tmp_path / "out")) for folder in ran] == [*trials, "good/7"]
    with open(tmp_path / "out/results.csv") as file:
        rows = {row["system"]: row for row in csv.DictReader(file)}
    assert rows.keys() == {"good", "wild", "random", "bm25", "shown"}
    assert rows["wild"]["marks"] == "diverged in every trial"
    assert "| wild | rate=1e+20 |  |  | 0 | diverged |" in (tmp_path / "out/report.md").read_text()

    ran.clear()
    compare.compare_losses(config)
    assert ran == []

    changed = dataclasses.replace(config, train=dataclasses.replace(config.train, batch_lists=12))
    with pytest.raises(InputError, match=r"holds a run with other settings: train.batch_lists \(was 24, is 12\)"):
        compare.compare_losses(changed)


def test_a_dry_run_counts_and_writes_nothing(tiny_config, tmp_path, ran, capsys):
    losses = [{"loss": "softmax_loss"}, {"name": "frozen", "loss": "softmax_loss", "is_frozen": True}]
    config = with_compare(tiny_config, tmp_path / "out", losses=losses, learning_rates=[0.1, 0.2], dry_run=True)
    compare.compare_losses(config)
    assert "4 trials and 6 runs, 0 of them ended already; the others take about" in capsys.readouterr().out
    assert ran == [] and not (tmp_path / "out").exists()


def test_each_query_is_tested_in_one_fold_and_trained_on_in_others(tiny_config, tmp_path):
    config = with_compare(tiny_config, tmp_path / "out", folds=4)
    folds = prepare_folds(config)
    asked = [
        [{one.query for one in read_lists(fold.lists, split)} for split in ("train", "validation", "test")]
        for fold in folds
    ]
    for train, validation, test in asked:
        assert not train & test and not train & validation and not validation & test
    count = sum(len(list(read_lists(fold.lists, "test"))) for fold in folds)
    assert count == 96 + 16 + 24
    assert prepare_folds(config) == folds
    with pytest.raises(InputError, match="holds 4 folds of"):
        prepare_folds(with_compare(tiny_config, tmp_path / "out", folds=3))


@pytest.mark.soak
def test_a_comparison_that_was_killed_goes_on(tiny_config, tmp_path):
    losses = [{"name": "a", "loss": "softmax_loss"}, {"name": "b", "loss": "list_mle_loss"}]
    output = tmp_path / "out"
    config = with_compare(tiny_config, output, losses=losses, learning_rates=[1e-3], seeds=[1, 2], jobs=2)
    write_config(config, tmp_path / "config.yaml")
    command = [sys.executable, "pipelines/compare_losses.py", str(tmp_path / "config.yaml")]
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 300
    while not list(output.glob(f"*/*/{runs.OUTCOME_FILE}")):
        assert time.monotonic() < until and first.poll() is None
        time.sleep(0.2)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    ended = {path: path.stat().st_mtime_ns for path in output.glob(f"*/*/{runs.OUTCOME_FILE}")}
    assert not (output / "report.md").exists()
    time.sleep(5)  # the runs end with their parent
    subprocess.run(command, check=True, timeout=600, capture_output=True)
    found = {path: path.stat().st_mtime_ns for path in output.glob(f"*/*/{runs.OUTCOME_FILE}")}
    assert len(found) == 4 and ended.items() <= found.items()
    assert (output / "report.html").exists()
