"""A served student: stored vectors lose nothing, ids are found or reported, and the whole catalogue is searched."""

import contextlib
import dataclasses
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tfr_listbert.distillation.embedding import embed_documents
from tfr_listbert.distillation.encoding import StudentEncoder
from tfr_listbert.distillation.vectors import read_vectors
from tfr_listbert.export.bundle import export_ranker
from tfr_listbert.export.half_weights import round_weights
from tfr_listbert.export.models import build_text_student
from tfr_listbert.export.reload import ReloadedModel
from tfr_listbert.export.stored_order import check_stored_order, measure_swap
from tfr_listbert.export.text_student import UNKNOWN_SCORE
from tfr_listbert.export.vector_table import VectorTable
from tfr_listbert.lists.elwc import read_lists
from tfr_listbert.schema import PADDING_SCORE, InputError
from tfr_listbert.training.rankers import read_ranker
from tfr_listbert.training.run_folder import compute_version


@pytest.fixture(scope="module")
def served_config(student_config):
    export = dataclasses.replace(student_config.export, vectors=student_config.vectors.output, search_results=5)
    return dataclasses.replace(student_config, export=export)


def export(config):
    """Exports; returns what is printed."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        export_ranker(config)
    return printed.getvalue()


@pytest.fixture(scope="module")
def exported(served_config):
    printed = export(served_config)
    assert re.search(r"rank_ids orders 24 lists as encoding afresh does: no swap beyond \d.*; (\d+) of \1 doc", printed)
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


def test_stored_vectors_rank_every_test_list_as_encoding_afresh_does(model, lists):
    for one in lists:
        answer = model.ask("rank_ids", {"query": [one.query], "document_ids": [list_ids(one)]})
        afresh = score_afresh(model, one)
        assert answer["is_known"].all()
        np.testing.assert_allclose(answer["scores"][0], afresh, atol=2e-5)
        assert measure_swap(answer["scores"][0], afresh) <= 1e-5
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
    for brands in (["acme"], ["acme"] * 3):
        with pytest.raises(tf.errors.InvalidArgumentError, match="brand and title must hold as many documents"):
            model.ask("encode_document", {"title": ["red dress", "hat"], "brand": brands})


@pytest.fixture(scope="module")
def half(served_config, tmp_path_factory):
    """What is printed at the export of weights and vectors in float16, and its folder."""
    folder = tmp_path_factory.mktemp("half")
    vectors = dataclasses.replace(served_config.vectors, output=str(folder / "vectors"), dtype="float16")
    export_settings = {"vectors": vectors.output, "name": "half", "float16": True}
    config = dataclasses.replace(
        served_config, vectors=vectors, export=dataclasses.replace(served_config.export, **export_settings)
    )
    embed_documents(config)
    return export(config), Path(config.export.output, "half", "1")


@pytest.mark.soak
def test_half_precision_ranks_alike_and_the_export_says_what_it_changes(half, lists, model):
    printed, folder = half
    assert "process it scores as the halved weights do, to within" in printed
    assert re.search(
        r"rank_ids in float16: scores of 24 test lists differ by .*The order of \d+ lists changes", printed
    )
    with ReloadedModel(folder) as halved:
        for one in lists[:5]:
            inputs = {"query": [one.query], "document_ids": [list_ids(one)]}
            stored = halved.ask("rank_ids", inputs)["scores"][0]
            np.testing.assert_allclose(stored, score_afresh(halved, one), atol=5e-3)
            np.testing.assert_allclose(stored, score_afresh(model, one), atol=2e-2)


@pytest.mark.soak
def test_in_half_precision_query_and_document_are_rounded_alike(half, student_config):
    ranker = read_ranker(student_config.train.run)
    round_weights(ranker.row_scorer.trainable_variables)
    rounded = build_text_student(student_config, ranker)
    fields = {"title": ["red dress", "hat"], "brand": ["acme", ""]}
    with ReloadedModel(half[1]) as halved:
        queries = halved.ask("encode_query", {"query": ["red dress", ""]})["vectors"]
        documents = halved.ask("encode_document", fields)["vectors"]
    np.testing.assert_allclose(queries, rounded.encode_queries(tf.constant(["red dress", ""])), atol=1e-5)
    columns = {name: tf.constant([texts]) for name, texts in fields.items()}
    np.testing.assert_allclose(documents, rounded.encode_documents(columns, tf.ones([1, 2], tf.bool)), atol=1e-5)


@pytest.mark.soak
def test_in_half_precision_weights_and_vectors_take_half_the_space(half, exported):
    assert 2 * count_weight_bytes(half[1]) == count_weight_bytes(exported)
    weights = count_constants(exported) - count_constants(half[1])
    assert (
        weights > 1000
    )  # the query encoder's weights are constants of the graph, in float32, only where that is wanted


def count_weight_bytes(folder):
    """Returns the bytes of a SavedModel's numbers."""
    reader = tf.train.load_checkpoint(str(Path(folder, "variables", "variables")))
    dtypes, shapes = reader.get_variable_to_dtype_map(), reader.get_variable_to_shape_map()
    return sum(int(np.prod(shapes[name])) * dtype.size for name, dtype in dtypes.items() if dtype.is_floating)


def count_constants(folder):
    """Returns how many numbers the float32 constants of a SavedModel hold."""
    saved = SavedModel.FromString(Path(folder, "saved_model.pb").read_bytes())
    nodes = [node for function in saved.meta_graphs[0].graph_def.library.function for node in function.node_def]
    tensors = [node.attr["value"].tensor for node in nodes if node.op == "Const"]
    return sum(tf.make_ndarray(one).size for one in tensors if one.dtype == tf.float32.as_datatype_enum)


def test_a_student_with_vectors_is_made_ready_without_a_warning(served_config, caplog):
    build_text_student(served_config, read_ranker(served_config.train.run))
    assert not [record.message for record in caplog.records if record.levelname == "WARNING"]


def test_an_order_that_storing_changes_is_not_exported(served_config, model, lists):
    ranker = read_ranker(served_config.train.run)
    student = build_text_student(served_config, ranker)
    vectors = read_vectors(served_config.export.vectors).read_vectors()
    student._table = VectorTable(read_vectors(served_config.export.vectors).read_ids(), -vectors)
    worst = max(lists, key=lambda one: np.ptp(score_afresh(model, one)))  # turned round, its ends change places
    with pytest.raises(InputError, match=f"whose scores are .* apart .*, most for the query '{worst.query}'"):
        check_stored_order(served_config, student, lists)


def test_vectors_of_another_student_are_not_exported(served_config, replace, tmp_path):
    run = tmp_path / "other"
    shutil.copytree(served_config.train.run, run)
    ranker = read_ranker(run)
    ranker.row_scorer.query_tower.head.bias.assign_add(tf.ones([8]))
    tf.train.CheckpointManager(tf.train.Checkpoint(**ranker.row_scorer.list_objects()), str(run / "best"), 1).save()
    assert compute_version(run) != compute_version(served_config.train.run)
    with pytest.raises(InputError, match="are of another student"):
        build_text_student(replace(served_config, train={"run": str(run)}), ranker)


def test_a_version_whose_ids_were_cut_is_not_loaded(tmp_path):
    table = VectorTable(["a", "b", "c"], np.zeros((3, 4), np.float32))
    module = table.build_saved_module()
    module.find = tf.function(table.find, input_signature=[tf.TensorSpec([None], tf.string)])
    tf.saved_model.save(module, str(tmp_path / "1"))
    assert tf.saved_model.load(str(tmp_path / "1")).find(tf.constant(["c", "d"])).numpy().tolist() == [2, 3]
    [path] = (tmp_path / "1").rglob("document_ids.txt")
    path.write_text("a\nb\n")
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected 3 but got 2"):
        tf.saved_model.load(str(tmp_path / "1"))


def test_an_id_with_a_line_break_is_refused():
    with pytest.raises(InputError, match=r"must not have a line break, got 'a\\nb'"):
        VectorTable(["c", "a\nb"], np.zeros((2, 4), np.float32))
