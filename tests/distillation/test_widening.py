"""Widened lists: products that nobody judged, scored by the teacher and unseen by a loss on labels."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.config import LossConfig
from tfr_listbert.config.training import LossTermConfig
from tfr_listbert.distillation.encoding import StudentEncoder
from tfr_listbert.distillation.teacher_scores import score_training_lists
from tfr_listbert.distillation.widening import Widener, build_widening, mark_judged
from tfr_listbert.lists.bm25 import BM25
from tfr_listbert.lists.catalogue import read_listed_documents
from tfr_listbert.lists.elwc import parse_elwc, read_lists, write_shards
from tfr_listbert.losses import build_loss
from tfr_listbert.schema import IS_JUDGED, TEACHER_SCORE, Document, InputError, RankedList
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.objectives import LossTerm
from tfr_listbert.training.rankers import build_batcher
from tfr_listbert.training.ranking import index_training_lists


@pytest.fixture(scope="module")
def widened(student_config, tmp_path_factory):
    neighbours = {"bm25_neighbours": 3, "student_neighbours": 2, "student": student_config.train.run}
    scores = str(tmp_path_factory.mktemp("widened") / "scores")
    teacher = dataclasses.replace(student_config.teacher, scores=scores, shard_lists=60, **neighbours)
    config = dataclasses.replace(student_config, teacher=teacher)
    score_training_lists(config)
    return config


def test_each_list_keeps_its_documents_and_gets_so_many_others(widened):
    lists = zip(read_lists(widened.teacher.scores, "train"), read_lists(widened.data.lists, "train"), strict=True)
    for wide, own in lists:
        count = len(own.documents)
        assert [one.document_id for one in wide.documents[:count]] == [one.document_id for one in own.documents]
        assert [one.label for one in wide.documents[:count]] == [one.label for one in own.documents]
        assert [one.features[IS_JUDGED] for one in wide.documents] == [1.0] * count + [0.0] * 5
        assert len({one.document_id for one in wide.documents}) == count + 5
        assert all(np.isfinite(one.features[TEACHER_SCORE]) for one in wide.documents)


def test_the_students_nearest_are_its_nearest(widened):
    encoder = StudentEncoder(widened.train.run)
    products = read_listed_documents(widened.data.lists, encoder.fields)
    scores = dict(zip([one.document_id for one in products], encoder.encode_documents(products), strict=True))
    trained = {one.document_id for ranked in read_lists(widened.data.lists, "train") for one in ranked.documents}
    first = next(read_lists(widened.teacher.scores, "train"))
    known = {one.document_id for one in first.documents[:-2]}
    query = encoder.encode_queries([first.query])[0]
    best = sorted(trained - known, key=lambda name: -float(scores[name] @ query))[:2]
    assert [one.document_id for one in first.documents[-2:]] == best


def test_bm25_brings_products_that_share_words(widened):
    for wide in read_lists(widened.teacher.scores, "train"):
        words = set(wide.query.split())
        assert words & set(wide.documents[-5].fields["title"].split())


def test_a_product_without_a_word_of_the_query_is_no_neighbour_of_bm25(replace):
    widener = Widener(replace(teacher={"bm25_neighbours": 50}))
    documents = widener.widen(RankedList("q", "yellow sock", ())).documents
    assert documents and all({"yellow", "sock"} & set(one.fields["title"].split()) for one in documents)
    assert widener.widen(RankedList("q", "unheard of", ())).documents == ()


def test_a_loss_on_labels_does_not_see_what_nobody_judged():
    lists = {
        "labels": tf.constant([[2.0, 0.0, 0.0]]),
        "mask": tf.constant([[True, True, True]]),
        "document_keys": tf.constant([[1, 2, 3]], tf.int64),
        "weights": tf.ones([1, 3]),
        "is_judged": tf.constant([[True, True, False]]),
    }
    term, seed = LossTerm(build_loss("softmax_loss", {})), tf.constant([1, 2])
    low, high = (term.compute(lists, tf.constant([[1.0, 0.0, s]]), seed).numpy() for s in (-5.0, 5.0))
    np.testing.assert_array_equal(low, high)
    open_lists = {name: value for name, value in lists.items() if name != "is_judged"}
    assert term.compute(open_lists, tf.constant([[1.0, 0.0, 5.0]]), seed).numpy() > high


def test_a_student_of_labels_alone_reads_no_product_that_nobody_judged(widened):
    terms = (LossTermConfig("softmax_loss", "labels"), LossTermConfig("softmax_kl_loss"))
    indices = [
        index_training_lists(one, build_batcher(one, read_tokenizer(one.text.folder)))
        for one in (dataclasses.replace(widened, loss=LossConfig(terms=own)) for own in (terms[:1], terms))
    ]
    records = [[parse_elwc(record, "train") for record in one.read(np.arange(len(one)))] for one in indices]
    for narrow, wide in zip(*records, strict=True):
        assert narrow.query_id == wide.query_id
        assert len(wide.documents) > len(narrow.documents)
        ids = [one.document_id for one in wide.documents if one.features[IS_JUDGED]]
        assert [one.document_id for one in narrow.documents] == ids


@pytest.mark.parametrize("is_ours", [True, False])
def test_added_products_have_the_bm25_score_of_the_query_unless_the_source_brought_its_own(
    student_config, replace, tmp_path, is_ours
):
    lists = list(read_lists(student_config.data.lists, "train"))
    others = (Document(f"other {number}", {"title": "red red dress"}, 0.0) for number in range(9))  # of test lists
    tested = [RankedList("t", "t", tuple(dataclasses.replace(one, features={"bm25": 0.0}) for one in others))]
    products = {document.document_id: document for one in (*lists, *tested) for document in one.documents}
    bm25 = BM25({name: product.text for name, product in products.items()})

    def score(ranked_list):
        ids = [document.document_id for document in ranked_list.documents]
        return bm25.score(ranked_list.query, ids) if is_ours else np.full(len(ids), 30.0)

    given = [
        dataclasses.replace(
            one,
            documents=tuple(
                dataclasses.replace(document, features={**document.features, "bm25": float(value)})
                for document, value in zip(one.documents, score(one), strict=True)
            ),
        )
        for one in lists
    ]
    write_shards(given, tmp_path, "train")
    write_shards(tested, tmp_path, "test")
    (tmp_path / "stats.json").write_text(json.dumps({"computes_bm25": is_ours}))
    widener = Widener(replace(data={"lists": str(tmp_path)}, teacher={"bm25_neighbours": 2}))
    wide = widener.widen(given[0])
    own, added = wide.documents[:-2], wide.documents[-2:]
    assert [one.features["bm25"] for one in own] == [one.features["bm25"] for one in given[0].documents]
    expected = bm25.score(wide.query, [one.document_id for one in added]) if is_ours else [np.nan] * 2
    np.testing.assert_allclose([one.features["bm25"] for one in added], expected, rtol=1e-5)


def test_without_neighbours_no_product_is_read(student_config):
    assert build_widening(student_config) is mark_judged
    first = mark_judged(next(read_lists(student_config.data.lists, "train")))
    assert {document.features[IS_JUDGED] for document in first.documents} == {1.0}


def test_neighbours_without_a_student_are_refused(replace):
    with pytest.raises(InputError, match="`teacher.student` must name the run folder"):
        replace(teacher={"student_neighbours": 2})
