"""Which split a list belongs to, and whether a test query was trained on."""

from __future__ import annotations

import array
import dataclasses
import hashlib

import numpy as np

from tfr_listbert.config import SplitConfig
from tfr_listbert.schema import SPLITS, InputError, RankedList, fold_query


def hash_query(query: str, salt: str = "") -> int:
    """Returns 64 bits that depend on the folded query alone, the same on every machine.

    Among n queries two share their bits with a probability of about n² / 2⁶⁵: for ten million, one in 370,000.

    >>> hash_query("Red  dress") == hash_query("red dress") != hash_query("red dress", salt="other")
    True
    """
    text = f"{salt}\0{fold_query(query)}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


class QuerySet:
    """Folded queries, of which only the hashes are kept: eight bytes each, so that millions fit.

    >>> queries = QuerySet()
    >>> queries.add("Red  dress")
    >>> "red dress" in queries, "coat" in queries, len(queries)
    (True, False, 1)
    """

    def __init__(self) -> None:
        """Starts empty."""
        self._sorted = np.zeros(0, np.uint64)
        self._added = array.array("Q")

    def add(self, query: str) -> None:
        """Adds a query, which may be there already."""
        self._added.append(hash_query(query))

    def __contains__(self, query: str) -> bool:
        """Says whether the query, case and white space folded, has been added."""
        self._sort()
        key = np.uint64(hash_query(query))
        place = np.searchsorted(self._sorted, key)
        return place < len(self._sorted) and bool(self._sorted[place] == key)

    def __len__(self) -> int:
        """Returns the number of different queries."""
        self._sort()
        return len(self._sorted)

    def _sort(self) -> None:
        if self._added:
            self._sorted = np.union1d(self._sorted, np.frombuffer(self._added, np.uint64))
            self._added = array.array("Q")


def choose_split(ranked_list: RankedList, settings: SplitConfig) -> str:
    """Returns `train`, `validation` or `test`.

    Where split by `query` the test lists are drawn by a hash of the folded query; else the source assigns them. Either
    way `validation_rate` of the training queries become the validation split, by another hash of the folded query, so
    that no query is on both sides.

    Raises:
        InputError: if the source was to assign a split and did not, or has validation lists and others are to be split
            off.
    """
    query, split = ranked_list.query, ranked_list.split
    if settings.by == "query":
        split = "test" if _draw(query, settings, "test") < settings.test_rate else "train"
    if split not in SPLITS:
        raise InputError(
            f"`data.split.by` is {settings.by}, but the source assigns no split to the query {query!r}; set "
            "`data.split.by: query`, or choose a reader and options that assign one."
        )
    if settings.validation_rate and split == "validation":
        raise InputError(
            "The source has validation lists of its own, so no others may be split off; set "
            f"`data.split.validation_rate: 0`, got {settings.validation_rate}."
        )
    is_validation = split == "train" and _draw(query, settings, "validation") < settings.validation_rate
    return "validation" if is_validation else split


def _draw(query: str, settings: SplitConfig, purpose: str) -> float:
    return hash_query(query, f"{settings.salt}\0{purpose}") / 2**64


def mark_seen(ranked_list: RankedList, trained: QuerySet) -> RankedList:
    """Returns the list with `is_seen` set; `trained` holds the queries of the training split."""
    return dataclasses.replace(ranked_list, is_seen=int(ranked_list.query in trained))
