"""The card holds what was measured, and says when a version was forced."""

import dataclasses
import json
import re
import shutil
import subprocess

import pytest

from serving.local.sources import ModelSource
from tfr_listbert.config import LossConfig, LossTermConfig
from tfr_listbert.evaluation.evaluate import evaluate_ranker, read_results
from tfr_listbert.export import model_card
from tfr_listbert.export.gate import Decision, Measurement
from tfr_listbert.export.model_card import build_card, count_fitting
from tfr_listbert.export.requests import RequestBuilder
from tfr_listbert.export.signatures import specify_cascade, specify_ranker, specify_student

SECONDS = {1: 0.004, 10: 0.022, 30: 0.07, 100: 0.3}


@pytest.fixture
def build(run_config, tmp_path):
    """The card of a run whose evaluation is in `tmp_path`."""
    evaluate = dataclasses.replace(run_config.evaluate, output=str(tmp_path))
    config = dataclasses.replace(run_config, evaluate=evaluate)
    inputs = config.data.fields, config.model.features
    builder = RequestBuilder(*inputs, specify_ranker(*inputs))
    return lambda decision: build_card(config, config, 7, builder, SECONDS, decision, read_results(config))


def test_candidates_that_fit_are_read_off_the_measured_line():
    assert [count_fitting(SECONDS, budget) for budget in (0.02, 0.05, 0.1)] == [9, 21, 39]
    assert count_fitting(SECONDS, 0.001) == 0
    assert count_fitting(SECONDS, 1.0) == 100


def test_card_names_inputs_latency_and_label(build):
    card = build(Decision(True, "It is the first version.", measured=Measurement(20, 0.61234, (0.5, 0.7))))
    assert card.startswith("# ranker, version 7\n")
    assert "`title` (12 tokens), `brand` (4 tokens); numbers `price`, `rating`" in card
    assert "Label: `stable`. It is the first version." in card
    assert "ndcg_10 0.6123 (95 % interval 0.5000 – 0.7000)" in card
    assert "- 20 ms: 9\n- 50 ms: 21\n- 100 ms: 39" in card
    assert "has not been evaluated" in card and "force" not in card
    assert "Loss: `softmax_loss`;" in card and "Median of one request of `serving_default`" in card
    assert "It does not find products." in card and "Licence: not stated." in card


def test_canary_is_not_what_a_pasted_line_asks(build):
    card = build(Decision(False, "It is significantly worse."))
    assert "/v1/models/ranker/labels/stable:predict" in card
    assert "Without a label a server answers with the newest version" in card and "`/versions/7`" in card


def test_card_of_a_cascade_names_its_teacher_its_losses_and_what_was_timed(run_config):
    terms = (
        LossTermConfig("margin_mse_loss", options={"min_margin": 0.5}),
        LossTermConfig("softmax_loss", target="labels", weight=0.5),
    )
    teacher = dataclasses.replace(run_config.teacher, run="runs/teacher")
    model = dataclasses.replace(run_config.model, type="student", features=())
    encoder = dataclasses.replace(run_config.encoder, match_marks=False, letter_marks=False)
    run = dataclasses.replace(run_config, loss=LossConfig(terms=terms), teacher=teacher, model=model, encoder=encoder)
    export = {"cascade": run_config.train.run, "cascade_documents": 12, "vectors": "runs/vectors", "license": "CC0"}
    config = dataclasses.replace(run, export=dataclasses.replace(run_config.export, **export))
    inputs = ("title", "brand"), ("price", "rating")
    student = specify_student(("title",), (), has_vectors=True)
    builder = RequestBuilder(*inputs, specify_cascade(student, *inputs))
    row = {"lists": 20, "ndcg_10": 0.5, "interval": [0.4, 0.6], "mrr": 0.5}
    results = {"grades": "", "slices": {"all": {"bm25": row, "ranker": row}}}
    card = build_card(config, run, 7, builder, SECONDS, Decision(True, "It is the first version."), results)
    assert "| all | bm25 | 20 |" in card and "| all | the student alone | 20 |" in card and "| ranker |" not in card
    assert 'Loss: 1 · `margin_mse_loss` with {"min_margin": 0.5} on the scores of runs/teacher + ' in card
    assert " + 0.5 · `softmax_loss` on labels; " in card
    assert "`brand` (4 tokens); numbers none.\n- The first 12 documents are ranked anew by the ranker of " in card
    assert "`brand` (4 tokens); numbers `price`, `rating`.\n- Encoder" in card
    assert "Median of one request of `cascade_ids` at a time" in card
    assert '"price": [[NaN, 1.0]]' in card and "It finds products by `search` alone" in card
    assert "Licence: CC0." in card


@pytest.mark.parametrize(
    ("reader", "told", "untold"),
    [
        ("clicks", ["the shop whose log it was trained on: some", "Clicks favour what"], "grades of one"),
        ("esci", ["whose grades it was trained on: some", "learned from the grades of one data set"], "licks favour"),
    ],
)
def test_intended_use_is_of_what_the_ranker_learned_from(run_config, reader, told, untold):
    run = dataclasses.replace(run_config, data=dataclasses.replace(run_config.data, reader=reader))
    builder = RequestBuilder(("title",), (), specify_ranker(("title",), ()))
    card = build_card(run_config, run, 7, builder, SECONDS, Decision(True, "It is the first version."), None)
    assert all(part in card for part in told) and untold not in card
    assert '"How it was made" is cut' in card


def test_lists_are_counted_only_if_the_run_was_trained_on_them(run_config, monkeypatch):
    monkeypatch.setattr(model_card, "_read_counts", lambda folder: " (test 20)")
    monkeypatch.setattr(model_card, "describe_other_lists", lambda *_: "")
    assert f"lists of {run_config.data.lists} (test 20)." in model_card._describe_training(run_config, run_config)
    monkeypatch.setattr(model_card, "describe_other_lists", lambda *_: "Beware: other lists.")
    assert f"lists of {run_config.data.lists}.\n" in model_card._describe_training(run_config, run_config)


def test_forced_version_is_told(build):
    card = build(Decision(True, "It is significantly worse.", is_forced=True))
    assert "significantly worse.\n**It is stable only because `export.force` was set.**" in card


def test_evaluation_of_the_checkpoint_becomes_a_table(build, run_config, tmp_path):
    evaluate = dataclasses.replace(run_config.evaluate, output=str(tmp_path))
    evaluate_ranker(dataclasses.replace(run_config, evaluate=evaluate))
    card = build(Decision(False, "No."))
    results = json.loads((tmp_path / "metrics.json").read_text())
    row = results["slices"]["all"]["bm25"]
    low, high = row["interval"]
    assert f"| all | bm25 | 20 | {row['ndcg_10']:.4f} | {low:.4f} – {high:.4f} | {row['mrr']:.4f} |" in card
    assert "`canary` only, not `stable`" in card
    (tmp_path / "metrics.json").write_text(json.dumps(results | {"version": "of another checkpoint"}))
    assert "This checkpoint has not been evaluated" in build(Decision(False, "No."))


def test_exported_version_carries_its_card(exported):
    card = (exported / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert "It is the first version." in card and "scored on 20 test lists" in card
    assert "| 1000 |" in card
    assert "Beware: training of " in card and "has not ended" in card


def test_curl_line_of_the_card_works_when_pasted(exported, run_server):
    card = (exported / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    line = re.search(r"^curl .*$", card, re.MULTILINE)[0]
    if shutil.which("curl") is None:
        pytest.skip("no curl is installed here")
    with run_server([ModelSource("ranker", exported.parent, labels={"stable": 1})]) as url:
        command = ["bash", "-c", line.replace("http://127.0.0.1:8501", url)]
        answer = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    assert sorted(answer["outputs"]) == ["order", "scores", "sorted_scores"]
    assert sorted(answer["outputs"]["order"][0]) == [0, 1]
