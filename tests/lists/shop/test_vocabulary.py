"""The tables of words: every name in them stands for something."""

from tfr_listbert.lists.shop.vocabulary import read_vocabulary

VOCABULARY = read_vocabulary()


def test_near_values_are_values_of_the_same_attribute():
    for values in VOCABULARY.attributes.values():
        for value in values.values():
            assert set(value.near) <= set(values)


def test_types_have_known_values_and_words():
    for kind in VOCABULARY.kinds.values():
        assert kind.title and kind.query and kind.values["gender"] and kind.values["occasion"]
        for attribute, values in kind.values.items():
            assert set(values) <= set(VOCABULARY.attributes[attribute]), (kind.name, attribute)


def test_brands_have_a_known_price_level_and_occasion():
    for brand in VOCABULARY.brands.values():
        assert brand.tier in VOCABULARY.attributes["price"]
        assert brand.focus in VOCABULARY.attributes["occasion"]


def test_missions_and_category_words_speak_of_known_categories():
    categories = {kind.category for kind in VOCABULARY.kinds.values()}
    assert set(VOCABULARY.categories) <= categories
    for mission in VOCABULARY.missions:
        assert set(mission.categories) <= categories
        assert all(value in VOCABULARY.attributes[attribute] for attribute, value in mission.values.items())


def test_visitors_and_vendors_differ_in_their_words_for_most_types():
    differing = [
        kind for kind in VOCABULARY.kinds.values() if {w.lower() for w in kind.title} != {w.lower() for w in kind.query}
    ]
    assert len(differing) > 0.8 * len(VOCABULARY.kinds)
