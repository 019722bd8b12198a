"""Widened lists: products that nobody judged, scored by the teacher and unseen by a loss on labels."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.distillation.encoding import StudentEncoder
from tfr_listbert.distillation.teacher_scores import score_training_lists
from tfr_listbert.lists.catalogue import read_listed_documents
from tfr_listbert.lists.elwc import read_lists
from tfr_listbert.losses import build_loss
from tfr_listbert.schema import IS_JUDGED, TEACHER_SCORE, InputError
from tfr_listbert.training.objectives import LossTerm


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


def test_neighbours_without_a_student_are_refused(replace):
    with pytest.raises(InputError, match="`teacher.student` must name the run folder"):
        replace(teacher={"student_neighbours": 2})
