"""A version appears whole and tried, or not at all."""

import dataclasses
import json
import re

import numpy as np
import pytest
import tensorflow as tf

from serving.local.sources import read_sources
from serving.remote.golden import find_bundle, read_golden_requests, replay_golden_requests
from serving.remote.ranking import RankingClient
from tfr_listbert.config import read_config
from tfr_listbert.export import bundle
from tfr_listbert.export.allowed_ops import CORE_OPS, TEXT_OPS
from tfr_listbert.export.bundle import choose_version, export_ranker, move_labels, read_ops, write_beside
from tfr_listbert.export.deployment import Labels
from tfr_listbert.export.gate import Decision
from tfr_listbert.export.requests import RequestBuilder
from tfr_listbert.export.trial import TrialAnswers
from tfr_listbert.folders import lock_folder
from tfr_listbert.schema import Document, InputError, RankedList


def test_script_exports_and_says_what(export_folder):
    base = export_folder / "ranker"
    code, printed, errors = json.loads((export_folder / "done.json").read_text())
    assert (code, errors) == (0, "")
    assert "Label: stable and canary. It is the first version." in printed
    assert "ranker/1: serving_default, rank, rank_n, score_tokens, predict; " in printed
    assert sorted(path.name for path in base.iterdir()) == ["1"]
    names = sorted(path.name for path in base.with_name("ranker.serving").iterdir())
    assert names == ["batching.config", "docker-compose.yml", "kubernetes.yaml", "models.config", "monitoring.config"]
    manifests = (base.with_name("ranker.serving") / "kubernetes.yaml").read_text()
    (needed,) = re.findall(r"requests:\n.*\n +memory: (\d+)Mi", manifests)
    assert int(needed) > 512  # which is the server's own


def test_export_holds_variables_and_signatures_but_no_keras_traces(exported):
    saved = tf.saved_model.load(str(exported))
    assert set(saved.signatures) == {"serving_default", "rank", "rank_n", "score_tokens", "predict"}
    assert not (exported / "keras_metadata.pb").exists()
    inputs = saved.signatures["serving_default"].structured_input_signature[1]
    assert {name: (spec.shape.rank, spec.dtype.name) for name, spec in inputs.items()} == {
        "query": (1, "string"),
        "title": (2, "string"),
        "brand": (2, "string"),
        "price": (2, "float32"),
        "rating": (2, "float32"),
    }


def test_export_holds_no_op_that_the_stock_server_lacks(exported):
    ops = read_ops(exported)
    assert ops > TEXT_OPS
    assert {op for op in ops if not hasattr(tf.raw_ops, op)} == TEXT_OPS


def test_allowed_ops_are_ops_and_none_of_them_needs_python():
    assert {op for op in CORE_OPS if not hasattr(tf.raw_ops, op)} == set()
    assert not {op for op in CORE_OPS if "Py" in op or "Xla" in op or "TPU" in op}


def test_served_model_scores_as_the_checkpoint(served, text_ranker):
    documents = [
        {"title": "red dress", "brand": "Acme", "price": 12, "rating": 4.5},
        {"title": "Größe 42, schwarz", "price": None},
        {},
        {"brand": "靴 👟", "rating": 1.0},
    ]
    columns = {name: [document.get(name) for document in documents] for name in ("title", "brand", "price", "rating")}
    fields = {name: tf.constant([[value or "" for value in columns[name]]]) for name in ("title", "brand")}
    features = {
        name: tf.constant([[np.nan if value is None else value for value in columns[name]]], tf.float32)
        for name in ("price", "rating")
    }
    expected = text_ranker.rank_scores(tf.constant(["red dress"]), fields, features)[0]
    for url in served:
        with RankingClient(url, "ranker") as client:
            np.testing.assert_allclose(client.score("red dress", documents), expected, atol=1e-5)


def test_server_answers_the_golden_requests_over_rest_and_grpc(served, exported):
    requests = read_golden_requests(find_bundle(exported.parent))
    for url in served:
        replay = replay_golden_requests(url, "ranker", 1, requests, rounds=1)
        assert replay.faults == []
        assert len(replay.seconds) == len(requests) - 6


def test_export_keeps_the_config_that_it_was_trained_with(exported, run_config):
    kept = read_config(exported / "assets.extra" / "config.yaml")
    assert dataclasses.replace(kept, export=run_config.export) == run_config


def test_versions_are_counted_up_and_never_overwritten(tmp_path):
    assert choose_version(tmp_path / "none", None) == 1
    for name in ("1", "10", ".11.writing", "12-copy"):
        (tmp_path / name).mkdir()
    assert choose_version(tmp_path, None) == 11
    assert choose_version(tmp_path, 5) == 5
    with pytest.raises(InputError, match=r"got 10: .* Leave it empty for 11"):
        choose_version(tmp_path, 10)


def test_run_that_is_not_there_is_told(run_config, tmp_path):
    train = dataclasses.replace(run_config.train, run=str(tmp_path / "nothing"))
    export = dataclasses.replace(run_config.export, output=str(tmp_path))
    with pytest.raises(InputError, match="nothing"):
        export_ranker(dataclasses.replace(run_config, train=train, export=export))


def test_a_second_export_does_not_begin_while_one_runs(run_config, tmp_path):
    config = dataclasses.replace(run_config, export=dataclasses.replace(run_config.export, output=str(tmp_path)))
    (tmp_path / config.export.name).mkdir()
    with (
        lock_folder(tmp_path / config.export.name, ""),
        pytest.raises(InputError, match="Another export to .* is running"),
    ):
        export_ranker(config)
    assert list(tmp_path.glob("*/*")) == []


@pytest.mark.parametrize(("is_good", "stable"), [(True, 2), (False, 1)])
def test_a_second_version_is_stable_only_if_it_is_good_enough(
    run_config, tmp_path, monkeypatch, capsys, is_good, stable
):
    def write(config, ranker, folder, builder, lists):
        (folder / "assets.extra").mkdir(parents=True)
        return bundle.Bundle(frozenset(), ("serving_default",), 0.0, {1: 0.01, 1000: 1.0}, 100), [], []

    decisions = iter([Decision(True, "It is the first version."), Decision(is_good, "It was compared.")])
    monkeypatch.setattr(bundle, "_write_with_options", write)
    monkeypatch.setattr(bundle, "decide_stable", lambda *_: next(decisions))
    config = dataclasses.replace(run_config, export=dataclasses.replace(run_config.export, output=str(tmp_path)))
    for _ in range(2):
        export_ranker(config)
    (source,) = read_sources(tmp_path / f"{config.export.name}.serving" / "models.config")
    assert source.labels == {"stable": stable, "canary": 2}
    assert ("Clients that name no label get it all the same" in capsys.readouterr().out) == (not is_good)


@pytest.mark.parametrize(
    ("before", "found", "version", "is_stable", "after", "told"),
    [
        (None, None, 1, False, Labels(1, 1), []),
        (Labels(1, 2), Labels(1, 2), 3, True, Labels(3, 3, previous=1), []),
        (Labels(1, 2), Labels(1, 2), 3, False, Labels(1, 3), []),
        (Labels(1, 2), None, 3, True, Labels(3, 3, previous=1), []),
        (Labels(1, 2), Labels(1, 2), 7, True, Labels(7, 7, previous=1), ["wait for version 3 and refuse labels on 7 "]),
        (
            Labels(1, 2),
            Labels(2, 2),
            3,
            True,
            Labels(2, 3),
            ["moved from 1 to 2; there it stays, and version 3 is can"],
        ),
        (Labels(1, 2), Labels(2, 2), 7, False, Labels(2, 7), ["wait for version 3 ", "moved from 1 to 2"]),
    ],
)
def test_labels_move_by_what_was_found_before_and_after(before, found, version, is_stable, after, told):
    labels, notes = move_labels(before, found, version, is_stable)
    assert labels == after
    assert len(notes) == len(told) and all(part in note for part, note in zip(told, notes, strict=True))


def test_version_takes_its_place_when_it_is_whole(tmp_path):
    with write_beside(tmp_path, 3) as folder:
        folder.mkdir()
        assert not (tmp_path / "3").exists() and folder.name.startswith(".")
    assert [path.name for path in tmp_path.iterdir()] == ["3"]


def test_version_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(InputError), write_beside(tmp_path, 3) as folder:
        folder.mkdir()
        raise InputError("no")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def compare(text_ranker):
    """Holds answers, the scores in memory changed by `spoil` for one signature, against the ranker."""
    builder = RequestBuilder(text_ranker.fields, text_ranker.features, text_ranker.inputs)

    def call(spoil, signature="serving_default"):
        request = builder.ask("one", signature, [RANKED])
        scores = bundle.score_request(text_ranker, request)
        spoil(scores)
        answers = [{"outputs": {"scores": scores.tolist()}}]
        return bundle.measure_score_difference(text_ranker, [request], TrialAnswers(answers, [], 0))

    return call


RANKED = RankedList("q", "red dress", (Document("a", {"title": "red"}, 0.0), Document("b", {"title": "hat"}, 0.0)))


def test_scores_that_agree_pass(compare):
    assert compare(lambda scores: None) <= 1e-6


@pytest.mark.parametrize("signature", ["serving_default", "rank", "rank_n"])
@pytest.mark.parametrize("wrong", [7.0, float("nan"), float("inf")])
def test_scores_that_differ_are_refused(compare, wrong, signature):
    def spoil(scores):
        scores[0, 1] = wrong

    with pytest.raises(InputError, match=r"differ from the checkpoint's by .* Nothing was exported"):
        compare(spoil, signature)


class _Echo(tf.Module):
    def __init__(self, call, **options):
        super().__init__()
        self.call = tf.function(call, input_signature=[tf.TensorSpec([None], tf.string, "x")], **options)


@pytest.mark.parametrize(
    ("call", "options", "message"),
    [
        (lambda x: tf.numpy_function(lambda v: v, [x], tf.string), {}, "not known to have: PyFunc"),
        (lambda x: tf.io.encode_png(tf.zeros([1, 1, 1], tf.uint8)), {}, r"EncodePng\. .*export/allowed_ops\.py"),
        (lambda x: tf.cast(tf.size(x), tf.float32), {"jit_compile": True}, "XLA"),
    ],
    ids=["python", "not allowed", "xla"],
)
def test_op_that_the_stock_server_cannot_run_is_refused(tmp_path, call, options, message):
    module = _Echo(call, **options)
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=module.call)
    with pytest.raises(InputError, match=message):
        read_ops(tmp_path / "1")
