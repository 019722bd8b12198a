"""TensorBoard on a finished comparison: named runs, their values, a row of HParams for each."""

import json
import urllib.request
from pathlib import Path

import pytest
import tensorboard.program
import tensorflow as tf

from tests.chromium import Chromium, find_chromium
from tfr_listbert.evaluation.comparison.leaderboard import rank_systems
from tfr_listbert.evaluation.comparison.plots import plot_all
from tfr_listbert.evaluation.comparison.report import Findings
from tfr_listbert.evaluation.comparison.tensorboard import TENSORBOARD_FOLDER, write_tensorboard

STEP_20 = 0.4375  # exact in float32


@pytest.fixture
def board_url(comparison, monkeypatch):
    """Serves the made-up comparison, whose runs have left event files."""
    config, results = comparison
    output = Path(config.compare.output)
    for system in results.systems:
        for run in system.runs if system.row else ():
            with tf.summary.create_file_writer(str(output / system.name / str(run.seed) / "tensorboard")).as_default():
                for step in (10, 20):
                    tf.summary.scalar("metric/ndcg_10", STEP_20 if step == 20 else 0.25, step)
    leaderboard = rank_systems(results.systems, "ndcg_10", 200, 1)
    findings = Findings(config, results, leaderboard, [], plot_all(leaderboard, results.systems))
    write_tensorboard(findings, output)
    write_tensorboard(findings, output)  # again: what was there is replaced
    program = tensorboard.program.TensorBoard()
    program.configure(logdir=str(output / TENSORBOARD_FOLDER), port=0, load_fast="false", reload_interval=0)
    return program.launch()


def fetch(url, body=None):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body and json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def list_sessions(url):
    request = {
        "experimentName": "",
        "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
        "colParams": [],
        "startIndex": 0,
        "sliceSize": 100,
    }
    return fetch(f"{url}data/plugin/hparams/session_groups", request)["sessionGroups"]


def test_runs_are_named_by_loss_and_seed_and_each_has_its_row(board_url):
    runs = fetch(f"{board_url}data/runs")
    seeds = {f"{name}/{seed}" for name in ("softmax", "list_mle", "wild") for seed in (1, 2)}
    assert set(runs) == seeds | {"softmax", "list_mle", "report"}
    scalars = fetch(f"{board_url}data/plugin/scalars/scalars?run=softmax/2&tag=metric/ndcg_10")
    assert [(step, value) for _, step, value in scalars] == [(10, 0.25), (20, STEP_20)]
    assert len(list_sessions(board_url)) == 3  # those that did not diverge
    assert {group["hparams"]["loss"] for group in list_sessions(board_url)} == {"softmax", "list_mle"}
    layout = fetch(f"{board_url}data/plugin/custom_scalars/layout")
    tags = [chart["multiline"]["tag"] for chart in layout["category"][0]["chart"]]
    assert ["^mean/ndcg_10$"] in tags and ["^metric/ndcg_10$"] in tags
    assert set(fetch(f"{board_url}data/plugin/images/tags")["report"]) == {"losses.png", "curves.png", "queries.png"}


def test_a_browser_shows_the_curves_and_the_rows(board_url, tmp_path):
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium is installed here; CI installs one")
    with Chromium(path, tmp_path / "profile") as browser:
        browser.open(f"{board_url}#hparams")
        shown = browser.wait_for_text("list_mle/1", 90)
        rows = [f"{name}/{seed}" for name in ("softmax", "list_mle", "wild") for seed in (1, 2)]
        assert [row for row in rows if row in shown] == ["softmax/1", "softmax/2", "list_mle/1"]
        browser.open(f"{board_url}#custom_scalars")
        assert "mean over seeds" in browser.wait_for_text("mean over seeds", 90)
        value = browser.evaluate(
            "fetch('/data/plugin/scalars/scalars?run=softmax/2&tag=metric/ndcg_10').then(a => a.json())"
        )
        assert value[1][1:] == [20, STEP_20]
