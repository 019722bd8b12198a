"""BM25: values worked out by hand, and what callers rely on."""

import math

import numpy as np
import pytest

from tfr_listbert.lists.bm25 import BM25, parse_words

DOCUMENTS = {"a": "Red dress, red", "b": "Blue dresses", "c": "Leather boots for men", "d": ""}


def weight(frequency, document_frequency, length, k1=1.5, b=0.75):
    """One word's weight; 4 documents of 3, 2, 4 and 0 words: 2.25 on average."""
    idf = math.log(1 + (4 - document_frequency + 0.5) / (document_frequency + 0.5))
    return idf * frequency / (frequency + k1 * (1 - b + b * length / 2.25))


def test_scores_are_those_of_the_formula():
    scores = BM25(DOCUMENTS).score("red dress", ["a", "b", "c", "d"])
    expected = [weight(2, 1, 3) + weight(1, 2, 3), weight(1, 2, 2), 0.0, 0.0]
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_k1_and_b_are_used():
    scores = BM25(DOCUMENTS, k1=0.9, b=0.4).score("red", ["a"])
    np.testing.assert_allclose(scores, [weight(2, 1, 3, k1=0.9, b=0.4)], rtol=1e-6)


def test_scores_follow_the_order_of_the_ids_and_ids_may_repeat():
    bm25 = BM25(DOCUMENTS)
    forward = bm25.score("dress", ["a", "b", "c"])
    np.testing.assert_array_equal(bm25.score("dress", ["c", "b", "a", "a"]), forward[[2, 1, 0, 0]])


def test_chosen_documents_are_scored_as_among_all():
    bm25 = BM25(DOCUMENTS)
    chosen = bm25.choose(["c", "a"])
    np.testing.assert_array_equal(chosen.score_all("boots dress"), bm25.score("boots dress", ["c", "a"]))
    np.testing.assert_array_equal(chosen.score("boots", ["a"]), bm25.score("boots", ["a"]))
    with pytest.raises(KeyError, match="b"):
        chosen.score("boots", ["b"])


def test_a_word_twice_in_the_query_counts_twice():
    bm25 = BM25(DOCUMENTS)
    np.testing.assert_allclose(bm25.score("boots boots", ["c"]), 2 * bm25.score("boots", ["c"]), rtol=1e-6)


def test_unknown_words_add_nothing():
    bm25 = BM25(DOCUMENTS)
    np.testing.assert_array_equal(bm25.score("boots zzz", ["c"]), bm25.score("boots", ["c"]))
    np.testing.assert_array_equal(bm25.score("", ["a", "c"]), [0, 0])


def test_unknown_document_is_a_key_error():
    with pytest.raises(KeyError, match="nowhere"):
        BM25(DOCUMENTS).score("boots", ["a", "nowhere"])


def test_no_documents_no_words_and_empty_lists_are_fine():
    assert BM25({}).score("boots", []).shape == (0,)
    np.testing.assert_array_equal(BM25({"a": "", "b": "!?"}).score("boots", ["b", "a"]), [0, 0])


def test_the_stemmer_is_that_of_the_language():
    assert BM25({"a": "die Schuhe"}, language="german").score("Schuh", ["a"])[0] > 0
    assert BM25({"a": "die Schuhe"}, language="none").score("Schuh", ["a"])[0] == 0


def test_short_and_frequent_words_are_kept():
    assert parse_words("The Größe 8 of 10", language="none") == ["the", "größe", "8", "of", "10"]


def test_letters_and_the_signs_that_combine_with_them_are_one_word():
    assert parse_words("gru\u0308ne नए जूते \u2764\ufe0f", language="none") == ["gr\u00fcne", "नए", "जूते"]
