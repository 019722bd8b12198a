"""The simulated shop as a whole: its catalogue, its queries, and the log of two windows of time."""

from __future__ import annotations

import dataclasses
import datetime

import numpy as np

from tfr_listbert.config import ShopConfig
from tfr_listbert.lists.shop.catalogue import Product, build_catalogue
from tfr_listbert.lists.shop.queries import Query, build_queries
from tfr_listbert.lists.shop.relevance import grade_products
from tfr_listbert.lists.shop.visitors import Found, Log, draw_appeal, find_candidates, score_products, simulate_visits
from tfr_listbert.lists.shop.vocabulary import read_vocabulary

TRAINING_WINDOW = (datetime.date(2024, 3, 4), 14)
"""First day and number of days of the log to train on; two weeks, as in the paper."""
TEST_WINDOW = (datetime.date(2024, 5, 13), 7)
"""First day and number of days of the log to test on; one week, two months later, as in the paper."""

_TURNOVER_RATE = 0.2  # of products that come between the windows, and of those that go: fashion changes with the season
_DELISTED_RATE = 0.001  # of products that were shown but have left the catalogue since
_DRIFT = 0.3  # standard deviation of the log of a query's traffic between the windows


@dataclasses.dataclass(frozen=True)
class Window:
    """A window of time: what the shop's search found in it, and the log."""

    found: Found
    log: Log


@dataclasses.dataclass(frozen=True)
class Shop:
    """A simulated shop.

    Attributes:
        products: P of them.
        queries: Q of them.
        training: the window to train on.
        test: the window to test on.
        is_delisted: products that are in the log and no more in the catalogue, bool [P].
    """

    products: tuple[Product, ...]
    queries: tuple[Query, ...]
    training: Window
    test: Window
    is_delisted: np.ndarray


def simulate(config: ShopConfig) -> Shop:
    """Returns the shop of a seed and a size."""
    vocabulary = read_vocabulary()
    products = build_catalogue(vocabulary, config.products, config.seed)
    new = round(config.unseen_rate * config.test_queries)
    queries = build_queries(vocabulary, products, config.queries + new, config.seed)
    scores = score_products(vocabulary, queries, products, config.seed)
    grades = grade_products(vocabulary, queries, products)
    rng = np.random.default_rng([config.seed, 4])
    age = rng.random(len(products))
    training, test = _split_sessions(config, np.asarray([query.traffic for query in queries]), new)
    return Shop(
        products,
        queries,
        _simulate_window(config, scores, grades, age >= _TURNOVER_RATE, training, TRAINING_WINDOW),
        _simulate_window(config, scores, grades, age < 1 - _TURNOVER_RATE, test, TEST_WINDOW),
        rng.random(len(products)) < _DELISTED_RATE,
    )


def _simulate_window(
    config: ShopConfig,
    scores: np.ndarray,
    grades: np.ndarray,
    is_on_sale: np.ndarray,
    sessions: np.ndarray,
    window: tuple[datetime.date, int],
) -> Window:
    """Simulates a window from the scores and grades of all products [Q, P] and the expected sessions [Q]."""
    candidates = find_candidates(scores, is_on_sale, config.results)
    tables = (scores, grades, draw_appeal(scores.shape, config.seed))
    found = Found(candidates, *(np.take_along_axis(table, candidates, axis=1) for table in tables))
    return Window(found, simulate_visits(found, sessions, config.results, *window, config.seed))


def _split_sessions(config: ShopConfig, traffic: np.ndarray, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the expected sessions of each query [Q] in the training and in the test window.

    `new` queries outside the head are asked in the test window alone; of the others the export holds a sample there,
    in which frequent ones are likelier.
    """
    rng = np.random.default_rng([config.seed, 5])
    tail = np.arange(len(traffic) // 20, len(traffic))
    is_new = np.zeros(len(traffic), bool)
    is_new[rng.choice(tail, new, replace=False)] = True
    chance = np.where(is_new, 0, np.sqrt(traffic))
    again = rng.choice(len(traffic), config.test_queries - new, replace=False, p=chance / chance.sum())
    training = np.where(is_new, 0, traffic)
    training *= config.sessions / training.sum()
    is_tested = is_new.copy()
    is_tested[again] = True
    daily = config.sessions / TRAINING_WINDOW[1] * traffic * rng.lognormal(0, _DRIFT, len(traffic))
    return training, np.where(is_tested, daily * TEST_WINDOW[1], 0)
