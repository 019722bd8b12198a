"""Search and visitors: clicks follow relevance and position, and rows add up."""

import datetime

import numpy as np

from tfr_listbert.lists.shop.visitors import Found, draw_appeal, find_candidates, simulate_visits

MONDAY = datetime.date(2024, 3, 4)


def visit(grades, sessions=40_000.0, results=None, days=2, seed=1):
    grades = np.asarray(grades)
    candidates = np.broadcast_to(np.arange(grades.shape[1]), grades.shape)
    scores = np.broadcast_to(-10.0 * candidates, grades.shape)  # so far apart that no night changes the order
    found = Found(candidates, scores, grades, appeal=np.ones(grades.shape))
    return simulate_visits(found, np.full(len(grades), sessions), results or grades.shape[1], MONDAY, days, seed)


def test_the_chance_of_a_click_falls_with_the_position():
    log = visit([[4] * 10])
    rate = np.bincount(log.position, log.clicks)[1:] / np.bincount(log.position, log.impressions)[1:]
    np.testing.assert_allclose(rate, 0.45 * np.arange(1, 11) ** -0.6, atol=0.015)


def test_the_chance_of_a_click_grows_with_the_grade():
    rates = [log.clicks.sum() / log.impressions.sum() for log in (visit([[grade]]) for grade in range(5))]
    np.testing.assert_allclose(rates, [0.02, 0.06, 0.14, 0.28, 0.45], atol=0.015)


def test_nobody_buys_what_was_not_put_into_the_cart_nor_puts_there_what_was_not_clicked():
    log = visit([[0, 2, 4], [4, 3, 1]])
    assert (log.impressions >= log.clicks).all() and (log.clicks >= log.add_to_cart).all()
    assert (log.add_to_cart >= log.purchases).all() and log.purchases.sum() > 0


def test_every_session_sees_every_position_once():
    log = visit([[0, 2, 4, 1]], results=3)
    of_position = np.bincount(log.position, log.impressions)[1:]
    assert len(of_position) == 3 and len(set(of_position)) == 1
    assert abs(of_position[0] - 40_000) < 1000


def test_days_are_those_of_the_window():
    days = visit([[1, 2]], days=14).day
    assert (days.min(), days.max()) == (19786, 19799)  # 2024-03-04 and 2024-03-17


def test_queries_without_sessions_have_no_rows():
    assert len(visit([[1, 2]], sessions=0.0).day) == 0


def test_what_is_not_on_sale_is_not_found():
    found = find_candidates(np.asarray([[5.0, 4, 3, 2, 1]]), np.asarray([False, True, True, True, True]), results=2)
    assert found.tolist() == [[1, 2, 3]]  # half as many again as fit on a page


def test_appeal_belongs_to_product_and_pair_and_is_around_one():
    appeal = draw_appeal((50, 60), seed=1)
    np.testing.assert_array_equal(appeal, draw_appeal((50, 60), seed=1))
    assert 0.9 < np.median(appeal) < 1.1
    assert np.log(appeal).mean(axis=0).std() > 0.1  # some products are liked for every query
