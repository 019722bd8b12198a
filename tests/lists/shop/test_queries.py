"""Queries: different, of a realistic head and tail, and about what the shop has."""

import numpy as np
import pytest

from tfr_listbert.lists.shop.catalogue import build_catalogue
from tfr_listbert.lists.shop.queries import build_queries
from tfr_listbert.lists.shop.relevance import grade_products
from tfr_listbert.lists.shop.vocabulary import read_vocabulary
from tfr_listbert.schema import InputError, fold_query

VOCABULARY = read_vocabulary()
PRODUCTS = build_catalogue(VOCABULARY, 1000, seed=3)
QUERIES = build_queries(VOCABULARY, PRODUCTS, 1000, seed=3)


def test_same_seed_gives_the_same_queries_and_another_others():
    assert build_queries(VOCABULARY, PRODUCTS, 1000, seed=3) == QUERIES
    assert build_queries(VOCABULARY, PRODUCTS, 1000, seed=4) != QUERIES


def test_texts_differ_also_when_folded():
    assert len({fold_query(query.text) for query in QUERIES}) == 1000


def test_traffic_adds_up_to_one_and_a_tenth_of_the_queries_makes_half_of_it():
    traffic = np.asarray([query.traffic for query in QUERIES])
    np.testing.assert_allclose(traffic.sum(), 1)
    assert (np.diff(traffic) < 0).all()
    assert 0.35 < traffic[:100].sum() < 0.65


def test_the_head_is_shorter_than_the_tail():
    words = [len(query.text.split()) for query in QUERIES]
    assert np.mean(words[:100]) + 1 < np.mean(words[-100:])


def test_almost_every_query_has_a_fitting_product():
    best = grade_products(VOCABULARY, QUERIES, PRODUCTS).max(axis=1)
    assert (best >= 3).mean() > 0.97


def test_missions_name_no_type_yet_mean_attributes():
    gifts = [
        query for query in QUERIES if query.text in ("gift for her", "present for wife", "birthday gift girlfriend")
    ]
    assert gifts
    assert all(query.values == {"gender": "women"} and "necklace" in query.kinds for query in gifts)


def test_more_queries_than_the_products_give_are_refused():
    with pytest.raises(InputError, match="`shop.queries` and `shop.test_queries` ask for 50,000"):
        build_queries(VOCABULARY, PRODUCTS[:1], 50_000, seed=3)


def test_the_same_is_asked_in_several_ways():
    meanings = [(query.kinds, tuple(sorted(query.values.items()))) for query in QUERIES]
    assert len(set(meanings)) < 0.9 * len(meanings)
