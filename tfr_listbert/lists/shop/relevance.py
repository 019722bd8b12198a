"""What is truly relevant in the simulated shop: one rule over the attributes of queries and products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tfr_listbert.lists.shop.catalogue import Product
from tfr_listbert.lists.shop.queries import Query
from tfr_listbert.lists.shop.vocabulary import BRAND, Vocabulary

_NEAR = 0.5  # of a match
_SAME_FAMILY, _SAME_CATEGORY = 0.45, 0.1  # of what the asked type itself is worth
_ATTRIBUTES = 0.65  # of the worth of a product of the asked type that hangs on its attributes
_GENDER_WEIGHT = 1.5  # to other attributes' 1: nobody wants the wrong one
# What is not said but meant: to be as is typical for the type. It weighs less, and its lack is half forgiven.
_TYPICAL_WEIGHT = {"occasion": 0.3, "season": 0.2, "pattern": 0.2}
_TYPICAL_FLOOR = 0.4
_GRADE_FROM = (0.3, 0.5, 0.72, 0.92)  # worth from which the grades 1, 2, 3, 4 begin


def grade_products(vocabulary: Vocabulary, queries: Sequence[Query], products: Sequence[Product]) -> np.ndarray:
    """Returns the true grades, int8 [Q, P], from 0 to 4.

    A product is worth t * (0.35 + 0.65 * a): t says how near its type is to the asked one (1, 0.45 in its family, 0.1
    in its category), a is the weighted mean of how well its attributes match those that were asked for or go without
    saying.
    """
    matched = np.zeros((len(queries), len(products)), np.float32)
    total = np.zeros((len(queries), 1), np.float32)
    for attribute in (*vocabulary.attributes, BRAND):
        asked, weight, floor = _parse_wishes(vocabulary, queries, attribute)
        match = _match_values(vocabulary, attribute, asked, [_value_of(product, attribute) for product in products])
        matched += weight * (floor + (1 - floor) * match)
        total += weight
    satisfaction = np.divide(matched, total, out=np.ones_like(matched), where=total > 0)
    worth = match_kinds(vocabulary, queries, products) * (1 - _ATTRIBUTES + _ATTRIBUTES * satisfaction)
    return np.digitize(worth, np.asarray(_GRADE_FROM, np.float32) - 1e-6).astype(np.int8)


def match_kinds(vocabulary: Vocabulary, queries: Sequence[Query], products: Sequence[Product]) -> np.ndarray:
    """Returns how near the type of each product is to what each query asks for, float32 [Q, P] from 0 to 1."""
    kinds = list(vocabulary.kinds.values())
    table = np.zeros((len(queries), len(kinds)), np.float32)
    for row, query in enumerate(queries):
        families = {vocabulary.kinds[name].family for name in query.kinds}
        categories = {vocabulary.kinds[name].category for name in query.kinds}
        for column, kind in enumerate(kinds):
            if not query.kinds or kind.name in query.kinds:
                table[row, column] = 1
            elif kind.family in families:
                table[row, column] = _SAME_FAMILY
            elif kind.category in categories:
                table[row, column] = _SAME_CATEGORY
    names = list(vocabulary.kinds)
    return table[:, [names.index(product.kind) for product in products]]


def _parse_wishes(
    vocabulary: Vocabulary, queries: Sequence[Query], attribute: str
) -> tuple[list[str | None], np.ndarray, np.ndarray]:
    """Returns the value that each query wants of an attribute, its weight [Q, 1] and what a miss is worth [Q, 1]."""
    wishes = [_parse_wish(vocabulary, query, attribute) for query in queries]
    weight, floor = (np.asarray([wish[i] for wish in wishes], np.float32)[:, None] for i in (1, 2))
    return [wish[0] for wish in wishes], weight, floor


def _parse_wish(vocabulary: Vocabulary, query: Query, attribute: str) -> tuple[str | None, float, float]:
    if attribute in query.values:
        return query.values[attribute], _GENDER_WEIGHT if attribute == "gender" else 1.0, 0.0
    if query.typical and attribute in _TYPICAL_WEIGHT:
        known = vocabulary.kinds[query.kinds[0]].values.get(attribute)
        if known:
            return known[0], _TYPICAL_WEIGHT[attribute], _TYPICAL_FLOOR
    return None, 0.0, 0.0


def _value_of(product: Product, attribute: str) -> str | None:
    return product.brand if attribute == BRAND else product.values.get(attribute)


def _match_values(
    vocabulary: Vocabulary, attribute: str, asked: Sequence[str | None], had: Sequence[str | None]
) -> np.ndarray:
    near: Mapping[str, Sequence[str]] = (
        {name: () for name in vocabulary.brands}
        if attribute == BRAND
        else {name: value.near for name, value in vocabulary.attributes[attribute].items()}
    )
    codes = {name: code for code, name in enumerate((*near, None))}
    table = np.eye(len(codes), dtype=np.float32)
    for name, others in near.items():
        table[codes[name], [codes[other] for other in others]] = _NEAR
    table[:, codes[None]] = 0  # where an attribute does not apply, it satisfies no wish
    return table[np.ix_([codes[name] for name in asked], [codes[name] for name in had])]
