"""A version is stable only if it refuses no client of the stable one and is not significantly worse."""

import dataclasses

import numpy as np
import pytest

from tfr_listbert.export import gate
from tfr_listbert.export.clients import describe_refusals, read_input_names
from tfr_listbert.export.difference import score_request
from tfr_listbert.export.gate import decide_stable, read_gate_lists, score_with_version
from tfr_listbert.export.requests import RequestBuilder
from tfr_listbert.schema import InputError


@pytest.fixture
def decide(run_config, tmp_path, monkeypatch):
    """Decides about a version `new` whose NDCG on the 20 test lists is given, against `old`."""

    def call(new, old, inputs=INPUTS, **export):
        monkeypatch.setattr(gate, "read_input_names", lambda folder: {"old": INPUTS, "new": inputs}[folder.name])
        monkeypatch.setattr(gate, "score_with_version", lambda folder, lists: old)
        monkeypatch.setattr(gate, "_measure", lambda scored, config: np.array(scored))
        config = dataclasses.replace(run_config, export=dataclasses.replace(run_config.export, **export))
        return decide_stable(config, tmp_path / "new", read_gate_lists(config), new, tmp_path / "old")

    return call


TEXT = {"query", "title"}
INPUTS = {"rank": TEXT, "rank_n": TEXT | {"num_documents"}, "predict": {"inputs"}}
GOOD, BAD = [0.8 + 0.01 * (i % 3) for i in range(20)], [0.5] * 20


def test_better_version_is_stable(decide):
    decision = decide(GOOD, BAD)
    assert decision.is_stable and not decision.is_forced
    assert "Its ndcg_10 on 20 test lists is 0.8095, +0.3095 against 0.5000 of version old (p = 0.00" in decision.reason


def test_significantly_worse_version_is_not_stable_and_says_by_how_much(decide):
    decision = decide(BAD, GOOD)
    assert not decision.is_stable
    assert "-0.3095 against 0.8095" in decision.reason and "significantly worse" in decision.reason


def test_version_that_may_be_worse_by_chance_is_stable(decide):
    assert decide([0.5, *GOOD[1:]], GOOD).is_stable


def test_force_makes_a_worse_version_stable_and_is_recorded(decide):
    decision = decide(BAD, GOOD, force=True)
    assert decision.is_stable and decision.is_forced
    assert not decide(GOOD, BAD, force=True).is_forced


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        (INPUTS | {"search": {"query"}}, ""),
        ({"rank": TEXT}, "there is no `rank_n` any more; there is no `predict` any more"),
        (INPUTS | {"rank": TEXT | {"price"}}, "`price` is needed by `rank`"),
        (
            {**INPUTS, "rank": {"query", "brand"}, "rank_n": {"query", "brand", "num_documents"}},
            "`title` is no input of `rank`, `rank_n` any more; `brand` is needed by `rank`, `rank_n`",
        ),
    ],
)
def test_what_clients_would_be_refused_is_told(inputs, told):
    assert describe_refusals(INPUTS, inputs) == told


def test_better_version_that_would_refuse_clients_is_stable_only_by_force(decide):
    other = INPUTS | {"rank": TEXT | {"price"}}
    decision = decide(GOOD, BAD, other)
    assert not decision.is_stable
    assert "+0.3095" in decision.reason
    assert decision.reason.endswith(" Clients of version old would be refused: `price` is needed by `rank`.")
    forced = decide(GOOD, BAD, other, force=True)
    assert forced.is_stable and forced.is_forced and forced.reason == decision.reason
    assert "significantly worse. Clients of version old would be" in decide(BAD, GOOD, other).reason


def test_input_names_are_those_of_the_saved_model(exported, reloaded, tmp_path):
    found = read_input_names(exported)
    assert found.keys() == {"serving_default", "rank", "rank_n", "score_tokens", "predict"}
    assert all(names == set(reloaded.list_inputs(signature)) for signature, names in found.items())
    (tmp_path / "saved_model.pb").write_bytes(b"damaged")
    with pytest.raises(InputError, match="The inputs of version .* cannot be read from .*saved_model.pb: "):
        read_input_names(tmp_path)


@pytest.fixture
def scored(run_config, exported):
    """The 20 test lists, and their scores by the exported version."""
    lists = read_gate_lists(run_config)
    return lists, score_with_version(exported, lists)


def test_first_version_is_stable(run_config, exported, scored):
    decision = decide_stable(run_config, exported, *scored, None)
    assert decision.is_stable and decision.measured.lists == 20
    low, high = decision.measured.interval
    assert 0 < low < decision.measured.mean < high < 1


def test_version_is_as_good_as_itself(run_config, exported, scored):
    assert "+0.0000 against" in decide_stable(run_config, exported, *scored, exported).reason


def test_version_that_cannot_be_compared_is_not_stable(run_config, exported, scored, tmp_path):
    reason = decide_stable(run_config, exported, *scored, tmp_path / "7").reason
    assert "compared with version 7 on the same lists" in reason and reason.count("}. The inputs of version 7 ") == 1
    data = dataclasses.replace(run_config.data, lists=str(tmp_path))
    decision = decide_stable(dataclasses.replace(run_config, data=data), exported, [], [], exported)
    assert not decision.is_stable and "holds no test lists" in decision.reason
    assert decision.measured is None


def test_a_version_that_reads_what_the_lists_lack_is_not_measured_without_it(run_config, exported, scored):
    def strip(ranked_list):
        documents = (dataclasses.replace(one, features={"price": 1.0}) for one in ranked_list.documents)
        return dataclasses.replace(ranked_list, documents=tuple(documents))

    lists = list(map(strip, scored[0]))
    with pytest.raises(InputError, match="Version 1 reads rating, which the lists do not hold"):
        score_with_version(exported, lists)
    decision = decide_stable(run_config, exported, lists, scored[1], exported)
    assert not decision.is_stable
    assert "compared with version 1 on the same lists: Version 1 reads rating" in decision.reason


def test_judgements_replace_the_labels_as_in_the_evaluation(run_config, tmp_path):
    path = tmp_path / "grades.csv"
    path.write_text("query,document_id,grade\nred,d0,3\n")
    judged = dataclasses.replace(run_config.evaluate, judgements=str(path))
    lists = read_gate_lists(dataclasses.replace(run_config, evaluate=judged))
    assert {one.documents[0].label for one in lists if one.query == "red"} == {3.0}


def test_the_gate_scores_a_version_as_its_checkpoint_does(scored, text_ranker):
    builder = RequestBuilder(text_ranker.fields, text_ranker.features, text_ranker.inputs)
    for one, own in zip(*scored, strict=True):
        expected = score_request(text_ranker, builder.ask("", "rank_n", [one]))[0]
        np.testing.assert_allclose(own.scores, expected, atol=1e-5)
