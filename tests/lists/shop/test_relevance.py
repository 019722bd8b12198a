"""True grades, worked out by hand from the rule."""

import dataclasses

import numpy as np

from tfr_listbert.lists.shop.catalogue import build_catalogue
from tfr_listbert.lists.shop.queries import Query
from tfr_listbert.lists.shop.relevance import grade_products, match_kinds
from tfr_listbert.lists.shop.vocabulary import read_vocabulary

VOCABULARY = read_vocabulary()
ANY = build_catalogue(VOCABULARY, 1, seed=1)[0]


def product(kind, brand="Rivet", **values):
    category = VOCABULARY.kinds[kind].category
    return dataclasses.replace(ANY, kind=kind, category=category, brand=brand, values=values)


TYPICAL_DRESS = {"gender": "women", "season": "summer", "occasion": "casual", "pattern": "plain"}


def grade(query, *products):
    return grade_products(VOCABULARY, [query], products)[0].tolist()


def test_everything_asked_for_is_a_four_and_the_wrong_colour_is_not():
    query = Query("red dress", ("dress",), {"colour": "red"}, typical=True)
    # Weights: colour 1, and .3, .2, .2 of what is typical, all met. Red: a = 1. Burgundy is near: a = (.5 + .7) / 1.7 =
    # .706, worth .35 + .65 a = .809. Green: a = .7 / 1.7 = .412, worth .618.
    shown = [product("dress", **TYPICAL_DRESS, colour=colour) for colour in ("red", "burgundy", "green")]
    assert grade(query, *shown) == [4, 3, 2]


def test_what_goes_without_saying_counts_a_little():
    query = Query("dress", ("dress",), {}, typical=True)
    party = product("dress", gender="women", season="summer", occasion="party", pattern="plain")
    nothing_typical = product("dress", gender="women", season="winter", occasion="party", pattern="checked")
    # Party is a miss of weight .3 of .7, forgiven to .4: a = (.12 + .4) / .7 = .743, worth .833. The other has a = .4,
    # worth .61.
    assert grade(query, product("dress", **TYPICAL_DRESS), party, nothing_typical) == [4, 3, 2]


def test_another_type_of_the_family_is_at_most_a_one():
    query = Query("sneakers", ("sneakers",), {}, typical=True)
    casual = {"season": "all year", "occasion": "casual", "pattern": "plain"}
    # Sandals are of the same family: .45; boots are shoes too: .1; a scarf is something else.
    assert grade(query, *(product(kind, **casual) for kind in ("sneakers", "sandals", "boots", "scarf"))) == [
        4,
        1,
        0,
        0,
    ]


def test_the_wrong_gender_weighs_more_than_the_wrong_colour():
    query = Query("black mens jeans", ("jeans",), {"gender": "men", "colour": "black"}, typical=False)
    # a = 1.5 / 2.5 for the wrong colour, worth .74; 1 / 2.5 for the wrong gender, worth .61.
    shown = [product("jeans", gender="men", colour="blue"), product("jeans", gender="women", colour="black")]
    assert grade(query, *shown) == [3, 2]


def test_a_brand_alone_asks_for_any_type():
    query = Query("rivet", (), {"brand": "Rivet"}, typical=False)
    assert grade(query, product("dress"), product("socks"), product("dress", brand="Pacer")) == [4, 4, 1]


def test_an_attribute_that_does_not_apply_satisfies_no_wish():
    query = Query("striped", (), {"pattern": "striped"}, typical=False)
    assert grade(query, product("dress", pattern="striped"), product("dress")) == [4, 1]


def test_types_match_fully_by_family_by_category_or_not():
    query = Query("sneakers", ("sneakers",), {}, typical=True)
    products = [product(kind) for kind in ("sneakers", "sandals", "boots", "scarf")]
    np.testing.assert_allclose(match_kinds(VOCABULARY, [query], products), [[1, 0.45, 0.1, 0]])
