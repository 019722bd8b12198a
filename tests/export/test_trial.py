"""An export is tried as a server would run it, and what it refuses is told."""

import pytest

from tfr_listbert.export import trial
from tfr_listbert.export.requests import RequestBuilder, ServedRequest
from tfr_listbert.export.signatures import specify_ranker
from tfr_listbert.export.trial import TrialAnswers, require_answers, run_trial
from tfr_listbert.schema import Document, InputError, RankedList

INPUTS = ("title", "brand"), ("price", "rating")
BUILDER = RequestBuilder(*INPUTS, specify_ranker(*INPUTS))


def test_model_that_does_not_load_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(trial.sys, "executable", "/bin/false")
    with pytest.raises(InputError, match="does not load"):
        run_trial(tmp_path, [], [])


def test_request_that_is_refused_is_told():
    request = ServedRequest("rank: warm-up 10", "rank", {})
    answers = [{"error": "INTERNAL", "message": "of another"}, {"error": "INTERNAL", "message": "no kernel."}]
    with pytest.raises(InputError, match=r"refuses rank: warm-up 10: no kernel\. Nothing was exported"):
        require_answers([request], TrialAnswers(answers, [], 0))
    require_answers([request], TrialAnswers([answers[0], {"outputs": {}}], [], 0))
    require_answers([], TrialAnswers(answers, [], 0))  # without any warm-up all answers are of others


def test_every_signature_scores_a_list_alike(reloaded):
    documents = (Document("a", {"title": "red dress", "brand": "Acme"}, 0.0, {"price": 12.0, "rating": 4.0}),)
    documents += (Document("b", {"title": "Größe 42"}, 0.0, {"price": 1.0}),)
    ranked = RankedList("q", "red", documents)
    asked = {one.signature_name: reloaded.answer(vars(one))["outputs"] for one in BUILDER.ask_each("x", [ranked])}
    assert len(asked.pop("score_tokens")["scores"]) == 2
    for outputs in asked.values():
        assert outputs["scores"][0] == pytest.approx(asked["rank"]["scores"][0], abs=1e-5)
    assert len(asked) == 4
    assert len(reloaded.time([vars(BUILDER.ask("x", "rank", [ranked]))] * 2)) == 2


def test_serialized_list_scores_documents_without_text(reloaded):
    blank = RankedList("q", "red", (Document("a", {}, 0.0), Document("b", {"title": "hat"}, 0.0)))
    scores = reloaded.ask("predict", BUILDER.ask("x", "predict", [blank]).inputs)["scores"]
    expected = reloaded.ask("rank_n", BUILDER.ask("x", "rank_n", [blank]).inputs)["scores"]
    assert scores.shape == (1, 2) and scores.min() > -1e8
    assert scores[0] == pytest.approx(expected[0], abs=1e-5)
