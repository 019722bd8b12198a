"""The card holds what was measured, and says when a version was forced."""

import dataclasses
import json
import re
import shutil
import subprocess

import pytest

from tfr_listbert.export.gate import Decision, Measurement
from tfr_listbert.export.model_card import build_card, count_fitting

SECONDS = {1: 0.004, 10: 0.022, 30: 0.07, 100: 0.3}


@pytest.fixture
def build(run_config, tmp_path):
    """The card of a run whose evaluation is in `tmp_path`."""
    evaluate = dataclasses.replace(run_config.evaluate, output=str(tmp_path))
    config = dataclasses.replace(run_config, evaluate=evaluate)
    return lambda decision: build_card(config, config, 7, SECONDS, decision)


def test_candidates_that_fit_are_read_off_the_measured_line():
    assert [count_fitting(SECONDS, budget) for budget in (0.02, 0.05, 0.1)] == [9, 21, 39]
    assert count_fitting(SECONDS, 0.001) == 0
    assert count_fitting(SECONDS, 1.0) == 100


def test_card_names_inputs_latency_and_label(build):
    card = build(Decision(True, "It is the first version.", measured=Measurement(20, 0.61234, (0.5, 0.7))))
    assert card.startswith("# ranker, version 7\n")
    assert "`title` (12 tokens), `brand` (4 tokens); numbers `price`, `rating`" in card
    assert "Label: `stable`. It is the first version." in card
    assert "ndcg_10 0.6123 (95 % interval 0.5000 to 0.7000)" in card
    assert "- 20 ms: 9\n- 50 ms: 21\n- 100 ms: 39" in card
    assert "has not been evaluated" in card and "force" not in card


def test_forced_version_is_told(build):
    card = build(Decision(True, "It is significantly worse.", is_forced=True))
    assert "significantly worse.\n**It is stable only because `export.force` was set.**" in card


def test_evaluation_of_the_run_becomes_a_table(build, tmp_path):
    row = {"lists": 20, "ndcg_10": 0.5, "interval": [0.4, 0.6], "mrr": 0.25}
    (tmp_path / "metrics.json").write_text(json.dumps({"slices": {"all": {"bm25": row}}}))
    card = build(Decision(False, "No."))
    assert "| all | bm25 | 20 | 0.5000 | 0.4000 to 0.6000 | 0.2500 |" in card
    assert "`canary` only, not `stable`" in card


def test_exported_version_carries_its_card(exported):
    card = (exported / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert "It is the first version." in card and "scored on 20 test lists" in card
    assert "| 1000 |" in card


def test_curl_line_of_the_card_works_when_pasted(exported, served):
    card = (exported / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    line = re.search(r"^curl .*$", card, re.MULTILINE)[0].replace("http://127.0.0.1:8501", served[0])
    if shutil.which("curl") is None:
        pytest.skip("no curl is installed here")
    answer = json.loads(subprocess.run(["bash", "-c", line], capture_output=True, check=True, timeout=60).stdout)
    assert sorted(answer["outputs"]) == ["order", "scores", "sorted_scores"]
    assert sorted(answer["outputs"]["order"][0]) == [0, 1]
