"""The simulated shop's search and its visitors: what is shown, looked at, clicked and bought."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence

import numpy as np

from tfr_listbert.lists.bm25 import BM25
from tfr_listbert.lists.shop.catalogue import Product
from tfr_listbert.lists.shop.queries import Query
from tfr_listbert.lists.shop.relevance import match_kinds
from tfr_listbert.lists.shop.vocabulary import Vocabulary

# The shop's own search: keywords, a table of categories by hand that knows most queries, popularity, and old rules
# whose reason nobody remembers; every night the order changes a little.
_KNOWN_CATEGORY_RATE = 0.75
_KEYWORD_WEIGHT, _CATEGORY_WEIGHT, _POPULARITY_WEIGHT, _RULES_WEIGHT, _NIGHTLY_WEIGHT = 1.0, 0.8, 0.15, 0.3, 0.25
_CANDIDATES_PER_RESULT = 1.5

# Visitors: who looks at position k clicks with a chance that grows with the grade; they look with a chance k ** -0.6
# (result grids are looked through further than lists of links, for which 1 / k is usual).
_EXAMINATION_EXPONENT = 0.6
_CLICK_RATE = np.asarray([0.02, 0.06, 0.14, 0.28, 0.45])
_CART_RATE = np.asarray([0.02, 0.04, 0.08, 0.13, 0.18])
_PURCHASE_RATE = 0.35
_PRODUCT_APPEAL, _PAIR_APPEAL = 0.2, 0.25  # standard deviations of the log: pictures, prices, reviews
_WEEKDAY_TRAFFIC = np.asarray([0.9, 0.9, 0.9, 0.95, 1.0, 1.15, 1.2])


@dataclasses.dataclass(frozen=True)
class Log:
    """Rows of a search log, summed by day, query, product and position; every column an array [N] of whole numbers.

    Attributes:
        day: days since 1970-01-01.
        query: index of the query.
        product: index of the product.
        position: from 1.
        impressions: how often the product was shown there.
        clicks: clicks on it.
        add_to_cart: how often it was put into the cart after a click.
        purchases: how often it was bought then.
    """

    day: np.ndarray
    query: np.ndarray
    product: np.ndarray
    position: np.ndarray
    impressions: np.ndarray
    clicks: np.ndarray
    add_to_cart: np.ndarray
    purchases: np.ndarray


@dataclasses.dataclass(frozen=True)
class Found:
    """What the shop's search finds for each query, every array [Q, C].

    Attributes:
        candidates: products, int32.
        scores: how high the search puts them.
        grades: how relevant they truly are, int8.
        appeal: what makes them clicked beyond that, a factor around 1.
    """

    candidates: np.ndarray
    scores: np.ndarray
    grades: np.ndarray
    appeal: np.ndarray


def score_products(
    vocabulary: Vocabulary, queries: Sequence[Query], products: Sequence[Product], seed: int
) -> np.ndarray:
    """Returns how high the shop's search puts each product for each query, float32 [Q, P]."""
    rng = np.random.default_rng([seed, 1])
    texts = {product.document_id: f"{product.title} {product.shown_brand}" for product in products}
    bm25 = BM25(texts)
    keywords = np.stack([bm25.score_all(query.text) for query in queries])
    keywords /= np.maximum(keywords.max(axis=1, keepdims=True), 1e-6)
    is_known = rng.random((len(queries), 1)) < _KNOWN_CATEGORY_RATE
    popularity = np.log([product.popularity for product in products])
    scores = _KEYWORD_WEIGHT * keywords + _POPULARITY_WEIGHT * popularity.astype(np.float32)
    scores += _CATEGORY_WEIGHT * is_known * match_kinds(vocabulary, queries, products)
    scores += _RULES_WEIGHT * rng.standard_normal(scores.shape, np.float32)
    return scores


def find_candidates(scores: np.ndarray, is_on_sale: np.ndarray, results: int) -> np.ndarray:
    """Returns the products that the search finds for each query, best first.

    Args:
        scores: of `score_products`, [Q, P].
        is_on_sale: products that can be found, bool [P].
        results: products on a page.

    Returns:
        int32 [Q, C], C some more than `results`, so that nightly changes bring in others.
    """
    count = min(int(is_on_sale.sum()), int(results * _CANDIDATES_PER_RESULT))
    return np.argsort(np.where(is_on_sale, -scores, np.inf), axis=1, kind="stable")[:, :count].astype(np.int32)


def draw_appeal(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Returns what makes a product clicked for a query beyond its relevance, a factor around 1, float32 [Q, P]."""
    rng = np.random.default_rng([seed, 2])
    of_product = _PRODUCT_APPEAL * rng.standard_normal(shape[1], np.float32)
    return np.exp(of_product + _PAIR_APPEAL * rng.standard_normal(shape, np.float32))


def simulate_visits(
    found: Found, sessions: np.ndarray, results: int, first_day: datetime.date, days: int, seed: int
) -> Log:
    """Returns the log of a window of days.

    Args:
        found: what the search finds.
        sessions: expected number of sessions of each query in the window, [Q].
        results: products on a page.
        first_day: first day of the window.
        days: length of the window.
        seed: of the shop.
    """
    epoch_day = (first_day - datetime.date(1970, 1, 1)).days
    rng = np.random.default_rng([seed, 3, epoch_day])
    weights = _WEEKDAY_TRAFFIC[[(first_day.weekday() + day) % 7 for day in range(days)]]
    parts = []
    for day, weight in enumerate(weights / weights.sum()):
        visits = rng.poisson(sessions * weight)
        nightly = found.scores + _NIGHTLY_WEIGHT * rng.standard_normal(found.scores.shape, np.float32)
        order = np.argsort(-nightly, axis=1, kind="stable")[:, :results]
        parts.append(_simulate_day(epoch_day + day, visits, found, order, rng))
    return Log(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _simulate_day(
    day: int, visits: np.ndarray, found: Found, order: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Returns the columns of one day's rows, from the visits [Q] and the places [Q, R] in `found` by position."""
    asked = np.flatnonzero(visits)
    order = order[asked]
    shape = order.shape
    product, grade, appeal = (
        np.take_along_axis(values[asked], order, axis=1).ravel()
        for values in (found.candidates, found.grades, found.appeal)
    )
    position = np.broadcast_to(np.arange(1, shape[1] + 1), shape).ravel()
    impressions = np.repeat(visits[asked], shape[1])
    chance = np.minimum(position**-_EXAMINATION_EXPONENT * _CLICK_RATE[grade] * appeal, 1)
    clicks = rng.binomial(impressions, chance)
    carts = rng.binomial(clicks, _CART_RATE[grade])
    purchases = rng.binomial(carts, _PURCHASE_RATE)
    queries = np.repeat(asked, shape[1])
    return np.full(len(queries), day), queries, product, position, impressions, clicks, carts, purchases
