"""What a reader is asked for and what it reports besides lists."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tfr_listbert.config import require
from tfr_listbert.lists.tables.rejections import Rejections
from tfr_listbert.schema import RankedList


@dataclasses.dataclass(frozen=True)
class Step:
    """What is left after one step of choosing lists.

    Attributes:
        name: the step, with its threshold: `impressions >= 50`.
        lists: lists left.
        documents: documents in them, each counted once per list.
        products: different documents in them.
    """

    name: str
    lists: int
    documents: int
    products: int


@dataclasses.dataclass(frozen=True)
class ReadRequest:
    """What a reader is asked for.

    Attributes:
        folder: scratch folder; the caller removes it.
        rejections: takes the rows that cannot be used.
        fields: names of the text fields that every document gets, "" where missing.
        features: names of the numeric features that every document gets, NaN where missing.
        optional_features: those of `features` that the source need not have.
        split_by: `query`, `time` or `given`; for the latter two the reader sets the split of every list.
        list_size: documents per list, the first as shown; the reader's own number, or all, when None.
        steps: the reader appends what each of its own thresholds leaves.
        notes: what else the reader has to say of the source.
        passed_over: the reader counts here, by reason, rows that are sound but not asked for.
    """

    folder: Path
    rejections: Rejections
    fields: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    optional_features: frozenset[str] = frozenset()
    split_by: str = "query"
    list_size: int | None = None
    steps: list[Step] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    passed_over: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def document_columns(self) -> dict[str, bool]:
        """Whether a document's column is required, by name of field or feature."""
        return {name: name not in self.optional_features for name in (*self.fields, *self.features)}

    def refuse_times(self) -> None:
        """Raises an InputError if lists are to be split by times, for a reader of a set that has none."""
        rule = "must be query or given, since the set has no times"
        require(self.split_by in ("query", "given"), "data.split.by", rule, self.split_by)


class Reader(Protocol):
    """A source of lists; an entry of READERS is a frozen dataclass of its options with this method."""

    def read(self, request: ReadRequest) -> Iterator[RankedList]:
        """Yields the lists, a query's documents as shown; queries in an order that does not follow their text.

        Raises:
            InputError: if a file, a column or too many rows cannot be used.
        """
