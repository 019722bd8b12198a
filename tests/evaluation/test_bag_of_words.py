"""The bag-of-words ranker: what it can learn, and what it cannot."""

import numpy as np

from tfr_listbert.evaluation.bag_of_words import BagOfWordsRanker
from tfr_listbert.lists.bm25 import BM25
from tfr_listbert.schema import Document, RankedList


def ranked(query, labels):
    documents = tuple(Document(title, {"title": title}, float(label)) for title, label in labels.items())
    return RankedList(query, query, documents)


def train(*lists):
    texts = {document.document_id: document.document_id for ranked_list in lists for document in ranked_list.documents}
    return BagOfWordsRanker(lists, BM25({**texts, "red runners": "red runners"}))


def test_synonyms_are_learned_from_labels():
    ranker = train(
        ranked("sneakers", {"red trainers": 2, "red scarf": 0}), ranked("shawl", {"scarf": 1, "trainers": 0})
    )
    trainers, scarf = ranker.score(ranked("sneakers", {"trainers": 0, "scarf": 0}))
    assert trainers > scarf


def test_word_order_is_not_seen():
    ranker = train(ranked("dress shoes", {"oxfords": 2, "dress": 0}))
    np.testing.assert_allclose(
        ranker.score(ranked("dress shoes", {"oxfords": 0, "dress": 0})),
        ranker.score(ranked("shoes dress", {"oxfords": 0, "dress": 0})),
    )


def test_two_trainings_give_the_same_scores():
    lists = [ranked("sneakers", {"red trainers": 2, "red scarf": 0}), ranked("red", {"red scarf": 1, "scarf": 0})]
    np.testing.assert_array_equal(train(*lists).score(lists[0]), train(*lists).score(lists[0]))


def test_lists_without_a_relevant_document_are_left_out():
    with_label, without = ranked("sneakers", {"trainers": 1, "scarf": 0}), ranked("shawl", {"scarf": 0, "trainers": 0})
    np.testing.assert_array_equal(train(with_label, without).score(with_label), train(with_label).score(with_label))


def test_untrained_it_scores_zero():
    ranked_list = ranked("sneakers", {"trainers": 0})
    np.testing.assert_array_equal(train(ranked_list).score(ranked_list), [0])
