"""Which split a list belongs to, and whether a test query was trained on."""

from __future__ import annotations

import array
import dataclasses
import hashlib

import numpy as np

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


@dataclasses.dataclass(frozen=True)
class Splitter:
    """Puts lists into splits.

    Attributes:
        by: `query` splits off the test lists by a hash of the folded query; `time` and `given` take the split that the
            source assigns.
        test_rate: fraction of queries in the test split, for `query`.
        validation_rate: fraction of the training queries that become the validation split, by another hash of the
            folded query, so that no query is on both sides. Also for `time` and `given`; set 0 where the source has
            validation lists of its own.
        salt: changes the hashes.
    """

    by: str
    test_rate: float
    validation_rate: float
    salt: str = ""

    def choose_split(self, ranked_list: RankedList) -> str:
        """Returns `train`, `validation` or `test`.

        Raises:
            InputError: if the source was to assign a split and did not, or has validation lists and others are to be
                split off.
        """
        split = self._split_by_query(ranked_list.query) if self.by == "query" else ranked_list.split
        if split not in SPLITS:
            raise InputError(
                f"`data.split.by` is {self.by}, but the source assigns no split to the query {ranked_list.query!r}; "
                "set `data.split.by: query`, or choose a reader and options that assign one."
            )
        if self.validation_rate and self.by != "query" and split == "validation":
            raise InputError(
                "The source has validation lists of its own, so no others may be split off; set "
                f"`data.split.validation_rate: 0`, got {self.validation_rate}."
            )
        is_validation = split == "train" and self._draw(ranked_list.query, "validation") < self.validation_rate
        return "validation" if is_validation else split

    def _split_by_query(self, query: str) -> str:
        return "test" if self._draw(query, "test") < self.test_rate else "train"

    def _draw(self, query: str, purpose: str) -> float:
        return hash_query(query, f"{self.salt}\0{purpose}") / 2**64


def mark_seen(ranked_list: RankedList, trained: QuerySet) -> RankedList:
    """Returns the list with `is_seen` set; `trained` holds the queries of the training split."""
    return dataclasses.replace(ranked_list, is_seen=int(ranked_list.query in trained))
