"""Which split a list belongs to, and whether a test query was trained on."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection

from tfr_listbert.schema import SPLITS, InputError, RankedList, fold_query


def hash_query(query: str, salt: str = "") -> int:
    """Returns 64 bits that depend on the folded query alone, the same on every machine.

    Among n queries two share their bits with a probability of about n² / 2⁶⁵: for ten million, one in 370,000.

    >>> hash_query("Red  dress") == hash_query("red dress") != hash_query("red dress", salt="other")
    True
    """
    text = f"{salt}\0{fold_query(query)}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


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
            InputError: if the source was to assign a split and did not.
        """
        split = self._split_by_query(ranked_list.query) if self.by == "query" else ranked_list.split
        if split not in SPLITS:
            raise InputError(
                f"`data.split.by` is {self.by}, but the source assigns no split to the query {ranked_list.query!r}; "
                "set `data.split.by: query`, or choose a reader and options that assign one."
            )
        is_validation = split == "train" and self._draw(ranked_list.query, "validation") < self.validation_rate
        return "validation" if is_validation else split

    def _split_by_query(self, query: str) -> str:
        return "test" if self._draw(query, "test") < self.test_rate else "train"

    def _draw(self, query: str, purpose: str) -> float:
        return hash_query(query, f"{self.salt}\0{purpose}") / 2**64


def mark_seen(ranked_list: RankedList, train_hashes: Collection[int]) -> RankedList:
    """Returns the list with `is_seen` set.

    Args:
        ranked_list: any list.
        train_hashes: `hash_query` of every query of the training split; eight bytes each instead of its text.
    """
    return dataclasses.replace(ranked_list, is_seen=int(hash_query(ranked_list.query) in train_hashes))
