"""The catalogue: products of known types, and texts with the faults of real ones."""

from tfr_listbert.lists.shop.catalogue import build_catalogue
from tfr_listbert.lists.shop.vocabulary import read_vocabulary

VOCABULARY = read_vocabulary()
PRODUCTS = build_catalogue(VOCABULARY, 1000, seed=3)


def says(product, words):
    text = f"{product.title} {product.description}".lower()
    return any(word.lower() in text for word in words)


def test_same_seed_gives_the_same_catalogue_and_another_another():
    assert build_catalogue(VOCABULARY, 1000, seed=3) == PRODUCTS
    assert build_catalogue(VOCABULARY, 1000, seed=4) != PRODUCTS


def test_products_have_their_own_ids_titles_and_prices():
    assert len({product.document_id for product in PRODUCTS}) == 1000
    assert all(product.title.strip() and product.price > 0 for product in PRODUCTS)


def test_values_are_those_of_the_type():
    for product in PRODUCTS:
        kind = VOCABULARY.kinds[product.kind]
        own = {name: value for name, value in product.values.items() if name not in ("price", "occasion")}
        assert all(value in kind.values[name] for name, value in own.items())
        assert product.category == kind.category


def test_vendors_use_several_words_for_a_type():
    sneakers = [product.title.lower() for product in PRODUCTS if product.kind == "sneakers"]
    assert any("sneakers" in title for title in sneakers) and any("trainers" in title for title in sneakers)


def test_some_attributes_are_only_in_the_description_and_some_nowhere():
    colours = VOCABULARY.attributes["colour"]
    dressed = [product for product in PRODUCTS if "colour" in product.values]
    untitled = [p for p in dressed if not any(w.lower() in p.title.lower() for w in colours[p.values["colour"]].title)]
    described = [p for p in untitled if says(p, colours[p.values["colour"]].description)]
    assert 0 < len(described) < len(untitled) < len(dressed)


def test_some_titles_are_stuffed_and_some_shout():
    assert any("bestseller" in product.title.lower() for product in PRODUCTS)
    assert any(product.title.isupper() for product in PRODUCTS)


def test_some_brands_and_descriptions_are_missing():
    assert 0 < sum(not product.shown_brand for product in PRODUCTS) < 100
    assert 0 < sum(not product.description for product in PRODUCTS) < 100
