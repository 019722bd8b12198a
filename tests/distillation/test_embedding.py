"""Stored vectors: those of encoding afresh, embedded again only where a text has changed."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tfr_listbert.distillation.embedding import embed_documents
from tfr_listbert.distillation.encoding import StudentEncoder
from tfr_listbert.distillation.vectors import read_vectors
from tfr_listbert.lists.catalogue import read_listed_documents
from tfr_listbert.lists.elwc import read_lists, write_shards
from tfr_listbert.schema import InputError


@pytest.fixture(scope="session")
def encoder(student_config):
    return StudentEncoder(student_config.train.run)


def write_catalogue(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"catalogue": str(path), "output": str(path.with_name("vectors"))}


def read_by_id(embedded):
    return dict(zip(embedded.stored.read_ids(), embedded.stored.read_vectors(), strict=True))


ROWS = [{"document_id": f"p{number}", "title": f"red dress {number}", "brand": "acme"} for number in range(7)]


def test_every_document_of_the_lists_has_the_vector_of_its_text(student_config, encoder):
    stored = read_vectors(student_config.vectors.output, encoder.version)
    documents = read_listed_documents(student_config.data.lists, encoder.fields)
    assert stored.read_ids() == [document.document_id for document in documents]
    assert len(stored.counts) > 1
    np.testing.assert_allclose(stored.read_vectors(), encoder.encode_documents(documents), atol=1e-5)
    assert np.ptp(stored.read_vectors(), axis=0).min() > 1e-3


def test_only_what_has_changed_is_embedded_again(replace, student_config, tmp_path, encoder):
    settings = write_catalogue(tmp_path / "products.jsonl", ROWS)
    first = embed_documents(replace(student_config, vectors=settings))
    before = read_by_id(first)
    assert (first.encoded, first.kept, first.removed) == (7, 0, 0)
    changed = [ROWS[0] | {"title": "blue hat"}, *ROWS[2:], ROWS[1] | {"document_id": "new"}]
    write_catalogue(tmp_path / "products.jsonl", changed)
    second = embed_documents(replace(student_config, vectors=settings))
    assert (second.encoded, second.kept, second.removed) == (2, 5, 1)
    now = read_by_id(second)
    assert now.keys() == {"p0", "p2", "p3", "p4", "p5", "p6", "new"}
    assert np.abs(now["p0"] - before["p0"]).max() > 1e-3
    np.testing.assert_allclose(now["new"], before["p1"], atol=1e-5)


def test_a_product_without_text_has_no_vector_as_it_has_no_score_of_a_ranker(replace, student_config, tmp_path):
    empty = dict.fromkeys(ROWS[0], "") | {"document_id": "empty"}
    settings = write_catalogue(tmp_path / "products.jsonl", [*ROWS, empty])
    done = embed_documents(replace(student_config, vectors=settings))
    assert (done.encoded, done.empty) == (7, 1) and "empty" not in done.stored.read_ids()


def test_half_precision_is_stored_and_another_precision_embeds_anew(replace, student_config, tmp_path):
    settings = write_catalogue(tmp_path / "products.jsonl", ROWS)
    whole = embed_documents(replace(student_config, vectors=settings)).stored.read_vectors()
    half = embed_documents(replace(student_config, vectors=settings | {"dtype": "float16"}))
    assert half.encoded == 7 and half.stored.read_vectors().dtype == np.float16
    np.testing.assert_allclose(half.stored.read_vectors(), whole, rtol=1e-3, atol=1e-4)


def test_vectors_of_another_student_are_refused_and_made_anew(replace, student_config, tmp_path):
    folder = tmp_path / "vectors"
    shutil.copytree(student_config.vectors.output, folder)
    values = json.loads((folder / "vectors.json").read_text())
    (folder / "vectors.json").write_text(json.dumps(values | {"model": "0123"}))
    with pytest.raises(InputError, match="are of another student: its version is 0123, that of the run is"):
        read_vectors(folder, values["model"])
    done = embed_documents(replace(student_config, vectors={"output": str(folder)}))
    assert done.kept == 0 and done.stored.model == values["model"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"document_id": "p1", "title": "again", "brand": ""}, "the same document again"),
        ({"document_id": "", "title": "red", "brand": ""}, "no document_id"),
        ({"title": "red", "brand": ""}, "no document_id"),
    ],
)
def test_a_catalogue_with_double_or_missing_ids_is_refused(replace, student_config, tmp_path, row, reason):
    settings = write_catalogue(tmp_path / "products.jsonl", [*ROWS, row])
    with pytest.raises(InputError, match=f"line 8: {reason}"):
        embed_documents(replace(student_config, vectors=settings))
    assert not Path(settings["output"]).exists()


def test_listed_documents_with_two_texts_for_one_id_are_refused(student_config, tmp_path):
    lists = list(read_lists(student_config.data.lists, "train"))[:2]
    documents = [dataclasses.replace(one.documents[0], document_id="same") for one in lists]
    documents[1] = dataclasses.replace(documents[1], fields={"title": "another", "brand": ""})
    changed = [dataclasses.replace(one, documents=(d,)) for one, d in zip(lists, documents, strict=True)]
    write_shards(changed, tmp_path, "train")
    with pytest.raises(InputError, match="'same' has different texts"):
        read_listed_documents(tmp_path, ("title", "brand"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vectors-00000.npy", "are not whole"),
        ("hashes-00000.npy", "are not whole"),
        ("ids-00000.json", "are not whole"),
        ("vectors.json", "is cut or damaged"),
    ],
)
def test_vectors_that_are_cut_are_refused(student_config, tmp_path, name, message):
    folder = tmp_path / "vectors"
    shutil.copytree(student_config.vectors.output, folder)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-8])
    with pytest.raises(InputError, match=message):
        read_vectors(folder)
    (folder / name).unlink()
    with pytest.raises(InputError, match="There are no vectors" if name == "vectors.json" else message):
        read_vectors(folder)


def test_a_ranker_has_no_vectors(student_config):
    with pytest.raises(InputError, match="holds a ranker, which has no vectors"):
        StudentEncoder(student_config.teacher.run)


def test_kept_vectors_stay_with_their_documents_across_shards(replace, student_config, tmp_path):
    settings = write_catalogue(tmp_path / "products.jsonl", ROWS) | {"shard_documents": 3}
    before = read_by_id(embed_documents(replace(student_config, vectors=settings)))
    moved = ROWS[0] | {"title": ROWS[0]["title"] + "a", "brand": "cme"}  # the same letters, in other fields
    write_catalogue(tmp_path / "products.jsonl", [*ROWS[:0:-1], moved])
    second = embed_documents(replace(student_config, vectors=settings))
    assert (second.encoded, second.kept, second.removed) == (1, 6, 0)
    now = read_by_id(second)
    for row in ROWS[1:]:
        np.testing.assert_array_equal(now[row["document_id"]], before[row["document_id"]])
