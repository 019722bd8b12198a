"""TensorBoard on a finished comparison: named runs, their values, a row of HParams for each."""

import dataclasses
import json
import re
import time
import types
import urllib.request
from pathlib import Path

import pytest
import tensorboard.program
import tensorflow as tf
from tensorboard.plugins.hparams import metadata, plugin_data_pb2

from tests.chromium import Chromium, find_chromium
from tfr_listbert.evaluation.comparison.leaderboard import rank_systems
from tfr_listbert.evaluation.comparison.plots import plot_all
from tfr_listbert.evaluation.comparison.report import Findings
from tfr_listbert.evaluation.comparison.tensorboard import TENSORBOARD_FOLDER, write_hparams, write_tensorboard
from tfr_listbert.training.callbacks import ScalarLog
from tfr_listbert.training.experiments.run import Trial

from .conftest import build_outcome

STEP_20 = 0.4375  # exact in float32


def write_events(folder):
    """Leaves what training leaves after steps 10 and 20."""
    log = ScalarLog(folder, "pairs")
    log.set_model(types.SimpleNamespace(optimizer=types.SimpleNamespace(learning_rate=tf.constant(0.5))))
    for step, value in ((10, 0.25), (20, STEP_20)):
        log.on_step(step, {"loss": 1.0, "gradient_norm": 2.0, "rows": 5.0, "metric/ndcg_10": value})
    log.on_train_end()


@pytest.fixture
def board_url(comparison, monkeypatch):
    """Serves the made-up comparison, whose runs have left event files."""
    config, results = comparison
    output = Path(config.compare.output)
    for system in results.systems:
        for run in system.runs if system.row else ():
            write_events(output / system.name / str(run.seed) / "tensorboard")
    leaderboard = rank_systems(results.systems, "ndcg_10", 200, 1)
    findings = Findings(config, results, leaderboard, [], [], plot_all(leaderboard, results.systems))
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
    sessions = {group["sessions"][0]["name"]: group for group in list_sessions(board_url)}
    assert sessions.keys() == seeds
    diverged = {name for name, group in sessions.items() if group["hparams"]["is_diverged"]}
    assert diverged == {"list_mle/2", "wild/1", "wild/2"}
    tested = {
        name for name, group in sessions.items() if "test/ndcg_10" in json.dumps(group.get("metricValues", "nothing"))
    }
    assert tested == seeds - diverged
    written = fetch(f"{board_url}data/plugin/scalars/tags")
    layout = fetch(f"{board_url}data/plugin/custom_scalars/layout")
    tags = [chart["multiline"]["tag"] for chart in layout["category"][0]["chart"]]
    assert ["^mean/ndcg_10$"] in tags and ["^metric/ndcg_10$"] in tags
    for [tag] in tags:
        assert any(re.match(tag, name) for own in written.values() for name in own), f"the chart of {tag} stays empty"
    assert set(fetch(f"{board_url}data/plugin/images/tags")["report"]) == {"losses.png", "curves.png", "queries.png"}


def test_a_browser_shows_the_curves_and_the_rows(board_url, tmp_path):
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium is installed here; CI installs one")
    with Chromium(path, tmp_path / "profile") as browser:
        browser.open(f"{board_url}#hparams")
        shown = browser.wait_for_text("list_mle/1", 90)
        rows = [f"{name}/{seed}" for name in ("softmax", "list_mle", "wild") for seed in (1, 2)]
        assert [row for row in rows if row in shown] == rows
        browser.open(f"{board_url}#custom_scalars")
        assert "mean over seeds" in browser.wait_for_text("mean over seeds", 90)
        assert wait_for_curves(browser, 90) >= 5  # means of two losses, and three runs or more
        value = browser.evaluate(
            "fetch('/data/plugin/scalars/scalars?run=softmax/2&tag=metric/ndcg_10').then(a => a.json())"
        )
        assert value[1][1:] == [20, STEP_20]


_COUNT_CURVES = """
(function count(node) {
  const children = [...node.children, ...(node.shadowRoot ? node.shadowRoot.children : [])];
  const isCurve = node.nodeName === "path" && node.classList.contains("line") && /L/.test(node.getAttribute("d") || "");
  return children.map(count).reduce((total, own) => total + own, isCurve ? 1 : 0);
})(document)
"""


def wait_for_curves(browser, seconds):
    """Returns how many lines of more than one point the page's charts have, once there are five, or after a time."""
    until, found = time.monotonic() + seconds, 0
    while time.monotonic() < until and found < 5:
        time.sleep(0.5)
        found = browser.evaluate(_COUNT_CURVES)
    return found


def test_folds_have_rows_with_their_own_settings_and_metrics(comparison, tmp_path):
    _, results = comparison
    system = results.systems[0]
    run = dataclasses.replace(
        system.runs[0],
        trials=(Trial(0.1, 0.5), Trial(0.2, 1.0)),
        outcomes=(build_outcome([0.5]), build_outcome([0.6])),
        lists_by_fold=(10, 20),
    )
    write_hparams(system.row, run, tmp_path, "softmax/1")
    found = {}
    for number in (1, 2):
        [path] = (tmp_path / f"softmax/1/fold-{number}").glob("events.*")
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                content = value.metadata.plugin_data.content
                if value.tag == metadata.SESSION_START_INFO_TAG:
                    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
                    found[number, "rate"] = start.hparams["learning_rate"].number_value
                    found[number, "temperature"] = start.hparams["temperature"].number_value
                if value.tag == "test/ndcg_10":
                    found[number, "ndcg_10"] = float(tf.make_ndarray(value.tensor))
    values = run.per_list["ndcg_10"]
    assert found == {
        (1, "rate"): 0.1,
        (1, "temperature"): 0.5,
        (1, "ndcg_10"): pytest.approx(values[:10].mean()),
        (2, "rate"): 0.2,
        (2, "temperature"): 1.0,
        (2, "ndcg_10"): pytest.approx(values[10:].mean()),
    }
