"""Statistics are those of the lists that were added, worked out by hand."""

import math

import pytest

from tfr_listbert.lists.statistics import Distribution, FeatureSummary, SplitStatistics, format_summary
from tfr_listbert.schema import Document, RankedList

LISTS = [
    RankedList(
        "1",
        "Red dress",
        (
            Document("a", {"title": "Größe", "brand": ""}, 2.0, {"price": 3.0}),
            Document("b", {"title": "Blue", "brand": "Acme"}, 0.0, {"price": math.nan}),
        ),
        query_count=30,
        is_seen=1,
    ),
    RankedList(
        "2", "coat", (Document("c", {"title": "", "brand": ""}, 0.0, {"price": 5.0}),), query_count=10, is_seen=0
    ),
    RankedList(
        "3", "Coat", (Document("c", {"title": "", "brand": ""}, 0.0, {"price": 5.0}),), query_count=5, is_seen=0
    ),
]


def describe() -> dict:
    statistics = SplitStatistics(["price"])
    for ranked_list in LISTS:
        statistics.add(ranked_list)
    return statistics.describe()


def test_a_distribution_knows_its_percentiles():
    distribution = Distribution()
    for value in [*range(1, 101)]:
        distribution.add(value)
    assert distribution.describe() == {"mean": 50.5, "p50": 50, "p95": 95, "max": 100}
    assert Distribution().describe() == {}


def test_a_feature_knows_how_often_it_is_missing():
    statistics = FeatureSummary()
    for value in (1.0, math.nan, 4.0):
        statistics.add(value)
    assert statistics.describe() == {"missing": 1, "mean": 2.5, "min": 1.0, "max": 4.0}


def test_lists_rows_labels_and_queries_are_counted():
    described = describe()
    assert (described["lists"], described["rows"]) == (3, 4)
    assert (described["without_relevant_document"], described["with_equal_labels"]) == (2, 2)
    assert described["labels"] == {"0.0": 3, "2.0": 1}
    assert described["documents_per_list"] == {"mean": pytest.approx(4 / 3, abs=0.01), "p50": 1, "p95": 2, "max": 2}
    assert described["words_per_row"] == {"mean": 2.25, "p50": 1, "p95": 4, "max": 4}  # 3, 4, 1 and 1
    assert described["bytes_per_row"]["max"] == len("Red dress Blue Acme")
    assert described["queries"] == {"seen": 1, "unseen": 1}  # coat and Coat are one
    assert described["searches"] == {"seen": 30, "unseen": 15}
    assert described["features"] == {"price": {"missing": 1, "mean": pytest.approx(13 / 3), "min": 3.0, "max": 5.0}}


def test_the_summary_tells_everything_that_was_lost():
    statistics = {
        "inputs": {"data.options.log": {"rows": 1234, "rejected": 5, "reasons": {"no query": 5}}},
        "passed_over": {"log rows outside the windows": 77},
        "notes": ["the log ends"],
        "steps": [{"name": "impressions >= 50", "lists": 3, "documents": 40, "products": 20}],
        "splits": {
            "train": SplitStatistics([]).describe(),
            "validation": SplitStatistics([]).describe(),
            "test": describe(),
        },
    }
    summary = format_summary(statistics)
    for part in (
        "data.options.log: 1,234 rows, 5 rejected",
        "5 no query",
        "passed over: 77 log rows outside the windows",
        "note: the log ends",
        "impressions >= 50",
        "train: no lists\n",
        "validation: no lists; `train` wants some to choose by",
        "test: 3 lists, 4 rows; 2 lists without a relevant document, 2 with equal labels",
        "queries unseen in training: 1 of 2 (50.0%)",
        "searches unseen in training: 15 of 45 (33.3%)",
    ):
        assert part in summary
