"""A query is on one side of every split, on every machine, and a source's own split is kept."""

import collections
import tracemalloc

import pytest

from tfr_listbert.config import SplitConfig
from tfr_listbert.lists.splits import QuerySet, choose_split, hash_query, mark_seen
from tfr_listbert.schema import SPLITS, InputError, RankedList


def make_list(query: str, split: str = "") -> RankedList:
    return RankedList(query, query, (), split=split)


def test_the_hash_is_the_same_on_every_machine():
    assert hash_query("Red  Dress ") == hash_query("red dress") == 13218617488824253604  # b2sum -l 64
    assert hash_query("red dress", salt="1") != hash_query("red dress")


def test_rates_are_kept():
    settings = SplitConfig("query", test_rate=0.2, validation_rate=0.1)
    counts = collections.Counter(choose_split(make_list(f"query {index}"), settings) for index in range(10_000))
    # Standard deviations: 40 lists of test, 27 of validation.
    assert counts["test"] == pytest.approx(2000, abs=160)
    assert counts["validation"] == pytest.approx(800, abs=110)


def test_spellings_of_a_query_stay_together():
    settings = SplitConfig("query", test_rate=0.5, validation_rate=0.5)
    for index in range(200):
        splits = {choose_split(make_list(query), settings) for query in (f"Größe {index}", f" GRÖSSE  {index}")}
        assert len(splits) == 1


def test_the_salt_draws_anew():
    splits = [
        [choose_split(make_list(str(index)), SplitConfig("query", 0.5, 0.0, salt)) for index in range(100)]
        for salt in ("", "other")
    ]
    assert splits[0] != splits[1]


@pytest.mark.parametrize("by", ["time", "given"])
def test_a_split_of_the_source_is_kept_but_for_validation(by):
    settings = SplitConfig(by, test_rate=0.9, validation_rate=0.5)
    chosen = {
        split: {choose_split(make_list(str(index), split), settings) for index in range(50)}
        for split in ("train", "test")
    }
    assert chosen == {"train": {"train", "validation"}, "test": {"test"}}


def test_validation_lists_of_the_source_are_all_there_are():
    whole = SplitConfig("given", test_rate=0.9, validation_rate=0.0)
    assert [choose_split(make_list("q", split), whole) for split in SPLITS] == list(SPLITS)
    with pytest.raises(InputError, match="of its own, .* set `data.split.validation_rate: 0`, got 0.1"):
        choose_split(make_list("q", "validation"), SplitConfig("given", 0.0, 0.1))


def test_the_same_queries_are_validated_wherever_the_split_comes_from():
    given = SplitConfig("given", 0.0, 0.3)
    by_query = SplitConfig("query", 0.0, 0.3)
    for index in range(100):
        one = make_list(str(index), "train")
        assert choose_split(one, given) == choose_split(one, by_query)


def test_a_source_without_a_split_is_answered():
    with pytest.raises(InputError, match="`data.split.by` is given, but the source assigns no split to the query 'q'"):
        choose_split(make_list("q"), SplitConfig("given", 0.2, 0.1))


def test_a_query_is_seen_in_whatever_spelling():
    trained = QuerySet()
    trained.add("red dress")
    assert mark_seen(make_list("RED dress"), trained).is_seen == 1
    assert mark_seen(make_list("red dresses"), trained).is_seen == 0


def test_a_set_of_queries_knows_them_in_ten_bytes_each():
    queries = QuerySet()
    tracemalloc.start()
    for index in range(100_000):
        queries.add(f"query {index % 80_000}")
    assert len(queries) == 80_000
    assert "QUERY 79999" in queries and "query 80000" not in queries
    queries.add("query 80000")
    assert "query 80000" in queries and "query 0" in queries
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 80_001 * 10
