"""A served student: stored vectors lose nothing, ids are found or reported, and the whole catalogue is searched."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.config import write_config
from tfr_listbert.distillation.embedding import embed_documents
from tfr_listbert.distillation.encoding import StudentEncoder
from tfr_listbert.distillation.vectors import read_vectors
from tfr_listbert.export.reload import ReloadedModel
from tfr_listbert.export.student import build_text_student
from tfr_listbert.export.student_signatures import UNKNOWN_SCORE, VectorTable
from tfr_listbert.lists.elwc import read_lists
from tfr_listbert.schema import PADDING_SCORE, InputError
from tfr_listbert.training.runs import compute_version, read_ranker


@pytest.fixture(scope="module")
def served_config(student_config):
    export = dataclasses.replace(student_config.export, vectors=student_config.vectors.output, search_results=5)
    return dataclasses.replace(student_config, export=export)


@pytest.fixture(scope="module")
def exported(served_config, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "config.yaml"
    write_config(served_config, path)
    done = subprocess.run(
        [sys.executable, "pipelines/export.py", str(path)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return f"{served_config.export.output}/student/1"


@pytest.fixture(scope="module")
def model(exported):
    with ReloadedModel(exported) as model:
        yield model


@pytest.fixture(scope="module")
def lists(student_config):
    return list(read_lists(student_config.data.lists, "test"))


def list_ids(ranked_list):
    return [document.document_id for document in ranked_list.documents]


def score_afresh(model, ranked_list):
    fields = {name: [[document.fields[name] for document in ranked_list.documents]] for name in ("title", "brand")}
    return model.ask("serving_default", {"query": [ranked_list.query], **fields})["scores"][0]


def assert_same_order(stored, afresh, tolerance=1e-5):
    """Equal orders, up to swaps of scores closer than the tolerance."""
    by_stored = afresh[np.argsort(-stored, kind="stable")]
    assert (by_stored[:-1] - by_stored[1:] >= -tolerance).all()


def test_stored_vectors_rank_every_test_list_as_encoding_afresh_does(model, lists):
    for one in lists:
        answer = model.ask("rank_ids", {"query": [one.query], "document_ids": [list_ids(one)]})
        afresh = score_afresh(model, one)
        assert answer["is_known"].all()
        np.testing.assert_allclose(answer["scores"][0], afresh, atol=2e-5)
        assert_same_order(answer["scores"][0], afresh)
        np.testing.assert_array_equal(answer["sorted_scores"][0], answer["scores"][0][answer["order"][0]])
        assert (np.diff(answer["sorted_scores"][0]) <= 0).all()


def test_lists_of_one_request_are_ranked_as_alone(model, lists):
    slots = max(len(one.documents) for one in lists)
    ids = [list_ids(one) + [""] * (slots - len(one.documents)) for one in lists]
    answer = model.ask("rank_ids", {"query": [one.query for one in lists], "document_ids": ids})
    for row, one in enumerate(lists):
        alone = model.ask("rank_ids", {"query": [one.query], "document_ids": [list_ids(one)]})
        count = len(one.documents)
        np.testing.assert_allclose(answer["scores"][row][:count], alone["scores"][0], atol=2e-5)
        np.testing.assert_array_equal(answer["scores"][row][count:], np.float32(PADDING_SCORE))


def test_unknown_ids_are_reported_and_ranked_last_but_for_padding(model, lists):
    known = list_ids(lists[0])[0]
    answer = model.ask("rank_ids", {"query": ["red dress"], "document_ids": [["", "nobody", known, "nothing"]]})
    assert answer["is_known"].tolist() == [[False, False, True, False]]
    assert answer["order"].tolist() == [[2, 1, 3, 0]]
    np.testing.assert_array_equal(answer["scores"][0][[1, 3]], np.float32(UNKNOWN_SCORE))


def test_a_request_with_fewer_queries_than_lists_is_refused(model):
    with pytest.raises(tf.errors.InvalidArgumentError, match="must hold as many lists"):
        model.ask("rank_ids", {"query": ["red"], "document_ids": [["a"], ["b"]]})


def test_search_finds_the_best_of_the_whole_catalogue(model, student_config):
    encoder = StudentEncoder(student_config.train.run)
    stored = read_vectors(student_config.vectors.output)
    scores = stored.read_vectors() @ encoder.encode_queries(["red dress", "blue hat"]).T  # [C, 2]
    answer = model.ask("search", {"query": ["red dress", "blue hat"], "results": [7, 3]})
    assert answer["document_ids"].shape == (2, 7)
    for row in range(2):
        np.testing.assert_allclose(answer["scores"][row], np.sort(scores[:, row])[::-1][:7], atol=2e-5)
        places = [stored.read_ids().index(name.decode()) for name in answer["document_ids"][row]]
        np.testing.assert_allclose(scores[places, row], answer["scores"][row], atol=2e-5)
    assert model.ask("search", {"query": ["red"], "results": [0]})["scores"].shape == (1, 5)
    assert model.ask("search", {"query": ["red"], "results": [10**6]})["scores"].shape == (1, stored.count)


def test_vectors_of_queries_and_documents_are_given_out(model, student_config):
    encoder = StudentEncoder(student_config.train.run)
    answer = model.ask("encode_query", {"query": ["red dress", ""]})
    np.testing.assert_allclose(answer["vectors"], encoder.encode_queries(["red dress", ""]), atol=1e-5)
    np.testing.assert_array_equal(answer["search_vectors"], np.pad(answer["vectors"], [(0, 0), (0, 1)]))
    document = model.ask("encode_document", {"title": ["red dress", "hat"], "brand": ["acme", ""]})["vectors"]
    assert document.shape == (2, 8) and np.isfinite(document).all()


def test_half_precision_ranks_alike(student_config, replace, tmp_path, lists, model):
    config = replace(student_config, vectors={"output": str(tmp_path / "half"), "dtype": "float16"})
    embed_documents(config)
    config = replace(config, export={"vectors": str(tmp_path / "half")})
    student = build_text_student(config, read_ranker(config.train.run))
    for one in lists[:5]:
        half = student.rank_ids(tf.constant([one.query]), tf.constant([list_ids(one)]))["scores"][0].numpy()
        np.testing.assert_allclose(half, score_afresh(model, one), atol=5e-3)


def test_vectors_of_another_student_are_not_exported(served_config, replace, tmp_path):
    run = tmp_path / "other"
    subprocess.run(["cp", "-r", served_config.train.run, run], check=True)
    ranker = read_ranker(run)
    ranker.row_scorer.query_tower.head.bias.assign_add(tf.ones([8]))
    tf.train.CheckpointManager(tf.train.Checkpoint(**ranker.row_scorer.list_objects()), str(run / "best"), 1).save()
    assert compute_version(run) != compute_version(served_config.train.run)
    with pytest.raises(InputError, match="are of another student"):
        build_text_student(replace(served_config, train={"run": str(run)}), ranker)


def test_an_id_with_a_line_break_is_refused():
    with pytest.raises(InputError, match=r"must not have a line break, got 'a\\nb'"):
        VectorTable(["c", "a\nb"], np.zeros((2, 4), np.float32))
