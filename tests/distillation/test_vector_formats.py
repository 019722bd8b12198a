"""Vectors handed to search engines and to FAISS are those that are stored."""

import dataclasses
import json
import sys
from pathlib import Path

import faiss
import numpy as np
import pytest

from tfr_listbert.distillation import embedding
from tfr_listbert.distillation.embedding import embed_documents
from tfr_listbert.distillation.encoding import StudentEncoder
from tfr_listbert.distillation.faiss_index import _find_lowest, _measure_recall, write_faiss_index
from tfr_listbert.distillation.search_files import read_deletes, write_deletes, write_search_files
from tfr_listbert.distillation.vectors import VectorWriter, read_vectors
from tfr_listbert.schema import InputError


@pytest.fixture(scope="module")
def stored(student_config, tmp_path_factory):
    output = str(tmp_path_factory.mktemp("formats") / "vectors")
    formats = ("opensearch", "elasticsearch", "faiss", "faiss")
    vectors = dataclasses.replace(student_config.vectors, output=output, formats=formats, index="shop")
    return embed_documents(dataclasses.replace(student_config, vectors=vectors)).stored


@pytest.mark.parametrize(
    ("engine", "kind", "size"), [("opensearch", "knn_vector", "dimension"), ("elasticsearch", "dense_vector", "dims")]
)
def test_bulk_files_update_every_document_with_its_vector(stored, engine, kind, size):
    folder = stored.folder / engine
    field = json.loads((folder / "mapping.json").read_text())["mappings"]["properties"]["listbert_vector"]
    assert (field["type"], field[size]) == (kind, 9)
    lines = [json.loads(line) for path in sorted(folder.glob("bulk-*.ndjson")) for line in path.open()]
    actions, changes = lines[::2], lines[1::2]
    assert [one["update"] for one in actions] == [{"_index": "shop", "_id": name} for name in stored.read_ids()]
    vectors = np.array([one["doc"]["listbert_vector"] for one in changes])
    np.testing.assert_allclose(vectors[:, :8], stored.read_vectors(), rtol=1e-6)
    query = np.random.default_rng(1).normal(size=8)
    distances = np.square(vectors - [*query, 0.0]).sum(axis=1)
    scores = stored.read_vectors() @ query
    np.testing.assert_allclose(distances - distances[0], -2 * (scores - scores[0]), atol=1e-5)
    assert {one["doc"]["listbert_model"] for one in changes} == {stored.model}
    assert all(one["doc_as_upsert"] for one in changes)


def test_elasticsearch_is_told_to_keep_exact_floats(stored):
    field = json.loads((stored.folder / "elasticsearch" / "mapping.json").read_text())["mappings"]["properties"]
    assert field["listbert_vector"]["index_options"]["type"] == "hnsw"  # not int8_hnsw, the default of newer versions


def test_ids_that_engines_refuse_are_refused_and_not_deleted(stored, tmp_path, monkeypatch):
    write_deletes([("shop", "é" * 300), ("shop", "gone")], tmp_path)
    assert read_deletes(tmp_path) == {("shop", "gone")}
    monkeypatch.setattr(type(stored), "read_ids", lambda self: ["é" * 300])
    with pytest.raises(InputError, match="at most 512 bytes, got 600: 'éé"):
        write_search_files(stored, "opensearch", "shop", tmp_path / "files")
    assert not (tmp_path / "files").exists()


@pytest.fixture
def embed(student_config, tmp_path):
    """Embeds products of such names, and returns what was done and what is deleted from OpenSearch's indices."""
    catalogue = tmp_path / "products.jsonl"
    settings = {"output": str(tmp_path / "vectors"), "catalogue": str(catalogue), "index": "shop"}

    def embed(names, **changes):
        rows = [{"document_id": name, "title": f"red {name}", "brand": ""} for name in names]
        catalogue.write_text("".join(json.dumps(row) + "\n" for row in rows))
        vectors = dataclasses.replace(student_config.vectors, **settings | {"formats": ("opensearch",)} | changes)
        embedded = embed_documents(dataclasses.replace(student_config, vectors=vectors))
        return embedded, read_deletes(embedded.stored.folder / "opensearch")

    return embed


def test_products_that_are_no_more_are_deleted_from_the_index(embed):
    assert embed("abc")[1] == set()
    embedded, _ = embed("bd")
    assert embedded.removed == 2
    text = (embedded.stored.folder / "opensearch" / "removed-00000.ndjson").read_text()
    assert [json.loads(line) for line in text.splitlines()] == [
        {"delete": {"_index": "shop", "_id": name}} for name in "ac"
    ]


def test_deletes_stay_until_they_are_sent_without_what_is_back(embed, capsys):
    embed("abcd")
    embed("bcd")
    assert embed("bcd")[1] == {("shop", "a")}
    embedded, deletes = embed("cd", formats=())
    assert deletes == {("shop", "a"), ("shop", "b")}
    assert sorted(path.name for path in embedded.stored.folder.glob("opensearch/*")) == ["removed-00000.ndjson"]
    assert "`vectors.formats` is without opensearch" in capsys.readouterr().out
    assert embed("ad", index="other")[1] == {("shop", "a"), ("shop", "b"), ("other", "c")}
    embedded, deletes = embed("acd")
    assert deletes == {("shop", "b"), ("other", "c")}
    (embedded.stored.folder / "opensearch" / "removed-00000.ndjson").unlink()
    assert embed("acd")[1] == set()
    assert embed("acd", formats=())[1] == set()
    assert embed("ac", formats=())[1] == {("shop", "d")}


def test_an_engine_that_was_never_asked_for_gets_no_folder(embed):
    embed("ab", formats=())
    embedded, _ = embed("a", formats=())
    assert not (embedded.stored.folder / "opensearch").exists()


def test_a_file_of_deletes_that_was_damaged_is_named(embed):
    embed("ab")
    embedded, _ = embed("a")
    with (embedded.stored.folder / "opensearch" / "removed-00000.ndjson").open("a") as file:
        file.write('{"delete": {"_in')
    with pytest.raises(InputError, match="removed-00000.ndjson line 2 must be a delete"):
        embed("a")


def test_the_faiss_index_finds_what_exact_search_finds(stored, student_config):
    queries = StudentEncoder(student_config.train.run).encode_queries(["red dress", "blue hat", "green coat"])
    index = faiss.read_index(str(stored.folder / "faiss" / "index.faiss"))
    recall = json.loads((stored.folder / "faiss" / "recall.json").read_text())
    assert recall["recall_10"][str(recall["search_width"])] >= 0.99
    assert json.loads((stored.folder / "faiss" / "ids.json").read_text()) == stored.read_ids()
    _, rows = index.search(queries, 5)
    exact = queries @ stored.read_vectors().T
    is_found = np.isclose(np.take_along_axis(exact, rows, axis=1), -np.sort(-exact, axis=1)[:, :5], atol=1e-4)
    assert is_found[:, 0].all() and is_found.mean() > 0.7


def test_recall_is_the_share_of_the_best_that_is_found(tmp_path):
    draw = np.random.default_rng(1)
    writer = VectorWriter(tmp_path, "m", "float32", 16)
    writer.write([f"d{n}" for n in range(3000)], np.zeros(3000, np.uint64), draw.normal(size=(3000, 16)))
    stored = writer.close()
    assert stored == read_vectors(tmp_path)
    found = write_faiss_index(stored, draw.normal(size=(50, 16)).astype(np.float32), tmp_path / "faiss")
    recalls = list(found["recall_10"].values())
    assert 0.3 < recalls[0] < recalls[-1] <= 1.0
    assert found["recall_10"][found["search_width"]] >= 0.99
    assert json.loads(Path(tmp_path, "faiss", "recall.json").read_text())["queries"] == 50


def test_recall_is_that_of_hand_counted_results():
    class Index:
        """Finds three of the four documents, the best among them, and nothing in the fourth place."""

        def search(self, queries, results):
            return None, np.array([[0, 3, 2, -1]])

    vectors = np.array([[4.0], [3.0], [2.0], [1.0]], np.float32)
    queries = np.ones((1, 1), np.float32)
    assert _find_lowest(vectors, queries).tolist() == [1.0]  # of four documents all are among the ten best
    assert _measure_recall(Index(), vectors, queries, np.array([1.0])) == 0.75
    assert _measure_recall(Index(), vectors, queries, np.array([3.0])) == 0.25


def test_without_faiss_or_lists_nothing_is_embedded(student_config, tmp_path, monkeypatch):
    settings = {"output": str(tmp_path / "vectors"), "formats": ("faiss",)}
    config = dataclasses.replace(student_config, vectors=dataclasses.replace(student_config.vectors, **settings))
    monkeypatch.setattr(embedding, "StudentEncoder", None)
    bare = dataclasses.replace(config, data=dataclasses.replace(config.data, lists=str(tmp_path)))
    with pytest.raises(InputError, match="is measured with queries"):
        embed_documents(bare)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match="pip install"):
        embed_documents(config)


def test_without_faiss_the_message_says_what_to_install(stored, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match="pip install"):
        write_faiss_index(stored, np.zeros((1, 8), np.float32), tmp_path / "faiss")
