"""The simulated shop's queries: what visitors mean, how they phrase it, and how often it is asked."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence

from tfr_listbert.lists.shop.catalogue import Product
from tfr_listbert.lists.shop.vocabulary import BRAND, Kind, Value, Vocabulary
from tfr_listbert.lists.shop.wording import choose_word, misspell
from tfr_listbert.schema import InputError

# Relative frequency with which visitors ask for an attribute.
_ASKED = {
    "gender": 22, "season": 7, "occasion": 12, "fit": 7, "colour": 30, "pattern": 8, "material": 12, "detail": 8,
    "price": 4, BRAND: 10,
}  # fmt: skip
_ASKED_COUNTS = (0.12, 0.42, 0.33, 0.13)  # of queries with 0, 1, 2, 3 attributes
_ORDER = ("price", "gender", BRAND, "season", "fit", "occasion", "detail", "colour", "pattern", "material")
_FORMS = {"kind": 0.8, "category": 0.08, "mission": 0.09, "brand": 0.03}
_AFTER_RATE = 0.35
_PLURAL_RATE = 0.3
_SHUFFLED_RATE = 0.12
_MISSPELT_RATE = 0.08
_HEAD = 0.1  # of the queries
_MISSION_ATTRIBUTE_RATE = 0.6

# Zipf's law as Mandelbrot bent it: traffic of the query of rank r is proportional to (r + shift) ** -exponent.
_ZIPF_EXPONENT = 0.85
_ZIPF_SHIFT = 10.0


@dataclasses.dataclass(frozen=True)
class Query:
    """What a visitor types, and what is meant by it.

    Attributes:
        text: as typed.
        kinds: names of the types that are meant; empty where any is.
        values: values asked for by attribute, `brand` included.
        typical: whether the rest is meant to be as it typically is for the type: so for one type, not for a category.
        traffic: relative number of sessions.
    """

    text: str
    kinds: tuple[str, ...]
    values: Mapping[str, str]
    typical: bool
    traffic: float = 0.0


def build_queries(vocabulary: Vocabulary, products: Sequence[Product], size: int, seed: int) -> tuple[Query, ...]:
    """Returns `size` queries of different texts by falling traffic, which adds up to 1.

    What is asked for is what some product has, popular ones more often. Short queries tend to the head.

    Raises:
        InputError: if so many different queries cannot be asked of so few products.
    """
    rng = random.Random(f"queries {seed}")
    weights = [product.popularity for product in products]
    found: dict[str, Query] = {}
    while len(found) < size:
        known = len(found)
        for product in rng.choices(products, weights, k=size):
            query = _build_query(vocabulary, product, rng)
            found.setdefault(query.text, query)
        if len(found) - known < 0.01 * size:
            raise InputError(
                f"`shop.queries` and `shop.test_queries` ask for {size:,} different queries, of which only "
                f"{len(found):,} come up for {len(products):,} products; raise `shop.products` or ask for fewer."
            )
    queries = sorted(list(found.values())[:size], key=lambda query: len(query.text.split()) + rng.gauss(0, 1.2))
    traffic = [(rank + _ZIPF_SHIFT) ** -_ZIPF_EXPONENT for rank in range(1, size + 1)]
    total = sum(traffic)
    return tuple(
        dataclasses.replace(query, text=text, traffic=share / total)
        for query, text, share in zip(queries, _misspell_tail(queries, rng), traffic, strict=True)
    )


def _misspell_tail(queries: Sequence[Query], rng: random.Random) -> list[str]:
    """Returns the texts, some of the tail misspelt: of each error of its kind there are too few for the head."""
    texts = [query.text for query in queries]
    taken = set(texts)
    for rank in range(int(_HEAD * len(texts)), len(texts)):
        misspelt = misspell(texts[rank], rng)
        if rng.random() < _MISSPELT_RATE and misspelt not in taken:
            taken.add(misspelt)
            texts[rank] = misspelt
    return texts


def _build_query(vocabulary: Vocabulary, product: Product, rng: random.Random) -> Query:
    form = rng.choices(list(_FORMS), list(_FORMS.values()))[0]
    kind = vocabulary.kinds[product.kind]
    if form == "mission":
        return _build_mission(vocabulary, product, rng)
    if form == "brand":
        return Query(product.brand.lower(), (), {BRAND: product.brand}, typical=False)
    words = vocabulary.categories.get(kind.category)
    if form == "category" and words:
        values = _choose_asked(vocabulary, product, max(1, _choose_count(rng)), rng)
        text = _phrase(vocabulary, values, choose_word(words, rng), rng)
        return Query(text, _kinds_of(vocabulary, kind.category), values, typical=False)
    values = _choose_asked(vocabulary, product, _choose_count(rng), rng)
    return Query(_phrase(vocabulary, values, _noun(kind, rng), rng), (kind.name,), values, typical=True)


def _choose_count(rng: random.Random) -> int:
    return rng.choices(range(len(_ASKED_COUNTS)), _ASKED_COUNTS)[0]


def _kinds_of(vocabulary: Vocabulary, *categories: str) -> tuple[str, ...]:
    return tuple(kind.name for kind in vocabulary.kinds.values() if kind.category in categories)


def _build_mission(vocabulary: Vocabulary, product: Product, rng: random.Random) -> Query:
    """A mission, and with it often one attribute of a product: `womens gym clothes`."""
    mission = rng.choice(vocabulary.missions)
    asked: dict[str, str] = {}
    if rng.random() < _MISSION_ATTRIBUTE_RATE:
        asked = _choose_asked(vocabulary, product, 1, rng, among=("gender", "season", "price", BRAND))
    asked = {attribute: value for attribute, value in asked.items() if attribute not in mission.values}
    text = _phrase(vocabulary, asked, rng.choice(mission.query), rng)
    return Query(text, _kinds_of(vocabulary, *mission.categories), {**mission.values, **asked}, typical=False)


def _choose_asked(
    vocabulary: Vocabulary, product: Product, count: int, rng: random.Random, among: Sequence[str] = tuple(_ASKED)
) -> dict[str, str]:
    """Returns up to `count` attributes of the product that visitors have words for and a reason to say."""
    values = {**product.values, BRAND: product.brand}
    weights = {
        attribute: _ASKED[attribute]
        for attribute in among
        if attribute in values and _value(vocabulary, attribute, values[attribute]).query
    }
    if len(vocabulary.kinds[product.kind].values["gender"]) == 1 and "gender" in weights:
        weights["gender"] *= 0.1  # few say women's dress
    if values.get("pattern") == "plain" and "pattern" in weights:
        weights["pattern"] *= 0.1
    asked: dict[str, str] = {}
    while weights and len(asked) < count:
        attribute = rng.choices(list(weights), list(weights.values()))[0]
        asked[attribute] = values[attribute]
        del weights[attribute]
    return asked


def _value(vocabulary: Vocabulary, attribute: str, name: str) -> Value:
    return Value(query=(name.lower(),)) if attribute == BRAND else vocabulary.attributes[attribute][name]


def _noun(kind: Kind, rng: random.Random) -> str:
    noun = choose_word(kind.query, rng)
    is_plural = noun.endswith("s") and not noun.endswith("ss")
    if is_plural or rng.random() >= _PLURAL_RATE:
        return noun
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def _phrase(vocabulary: Vocabulary, values: Mapping[str, str], noun: str, rng: random.Random) -> str:
    before, after = [], []
    for attribute in _ORDER:
        if attribute not in values:
            continue
        value = _value(vocabulary, attribute, values[attribute])
        is_after = value.after and not after and rng.random() < _AFTER_RATE
        (after if is_after else before).append(choose_word(value.after if is_after else value.query, rng))
    if rng.random() < _SHUFFLED_RATE:
        rng.shuffle(before)
    return " ".join([*before, noun, *after])
