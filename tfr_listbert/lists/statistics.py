"""What prepared lists are like: counted as they pass by, told as plain values for JSON."""

from __future__ import annotations

import collections
import math
from collections.abc import Mapping, Sequence
from typing import Any

from tfr_listbert.lists.splits import QuerySet
from tfr_listbert.schema import Document, RankedList

STATISTICS_FILE = "stats.json"
"""File in a folder of lists that holds their statistics."""
COMPUTES_BM25 = "computes_bm25"
"""Its key that says whether the feature `bm25` was computed, and not brought by the source."""


def join_row(query: str, document: Document) -> str:
    """Returns the text of a row: the query and all fields."""
    return " ".join((query, *document.fields.values()))


class Distribution:
    """Whole numbers, counted."""

    def __init__(self) -> None:
        """Starts empty."""
        self._counts: collections.Counter[int] = collections.Counter()

    def add(self, value: int) -> None:
        """Counts a value."""
        self._counts[value] += 1

    def describe(self) -> dict[str, float]:
        """Returns `mean`, `p50`, `p95`, `max`; nothing without values.

        p95 is the smallest value that 95 % of the values do not exceed.
        """
        total = self._counts.total()
        if not total:
            return {}
        mean = sum(value * count for value, count in self._counts.items()) / total
        return {
            "mean": round(mean, 2),
            "p50": self._find_value(total * 0.50),
            "p95": self._find_value(total * 0.95),
            "max": max(self._counts),
        }

    def _find_value(self, rank: float) -> int:
        ordered = sorted(self._counts)
        passed = 0
        for value in ordered[:-1]:
            passed += self._counts[value]
            if passed >= rank:
                return value
        return ordered[-1]


class FeatureSummary:
    """A numeric feature: how often it is missing, its mean and range."""

    def __init__(self) -> None:
        """Starts empty."""
        self._missing, self._count, self._sum = 0, 0, 0.0
        self._low, self._high = math.inf, -math.inf

    def add(self, value: float) -> None:
        """Counts a value; NaN is a missing one."""
        if math.isnan(value):
            self._missing += 1
            return
        self._count += 1
        self._sum += value
        self._low, self._high = min(self._low, value), max(self._high, value)

    def describe(self) -> dict[str, float | int]:
        """Returns `missing`, and of the values that are there `mean`, `min`, `max`."""
        if not self._count:
            return {"missing": self._missing}
        mean = self._sum / self._count
        return {"missing": self._missing, "mean": mean, "min": self._low, "max": self._high}


class SplitStatistics:
    """The lists of one split."""

    def __init__(self, features: Sequence[str]):
        """Starts empty; `features` are those that documents carry."""
        self._lists = {"lists": 0, "without_relevant_document": 0, "with_equal_labels": 0}
        self._documents, self._words, self._bytes = Distribution(), Distribution(), Distribution()
        self._labels: collections.Counter[float] = collections.Counter()
        self._features = {name: FeatureSummary() for name in features}
        self._queries = {0: QuerySet(), 1: QuerySet()}
        self._searches = {0: 0, 1: 0}
        self._rows = 0

    def add(self, ranked_list: RankedList) -> None:
        """Counts a list, its `is_seen` set."""
        labels = [document.label for document in ranked_list.documents]
        self._lists["lists"] += 1
        self._lists["without_relevant_document"] += max(labels) == 0
        self._lists["with_equal_labels"] += len(set(labels)) == 1
        self._documents.add(len(labels))
        self._labels.update(round(label, 2) for label in labels)
        self._queries[ranked_list.is_seen].add(ranked_list.query)
        self._searches[ranked_list.is_seen] += ranked_list.query_count
        for document in ranked_list.documents:
            self._add_document(ranked_list.query, document)

    def _add_document(self, query: str, document: Document) -> None:
        row = join_row(query, document)
        self._words.add(len(row.split()))
        self._bytes.add(len(row.encode()))
        self._rows += 1
        for name, statistics in self._features.items():
            statistics.add(document.features[name])

    def describe(self) -> dict[str, Any]:
        """Returns counts of lists, rows and queries, and how documents, words, bytes, labels and features spread."""
        return {
            **self._lists,
            "rows": self._rows,
            "documents_per_list": self._documents.describe(),
            "words_per_row": self._words.describe(),
            "bytes_per_row": self._bytes.describe(),
            "labels": {str(label): count for label, count in sorted(self._labels.items())},
            "features": {name: statistics.describe() for name, statistics in self._features.items()},
            "queries": {"seen": len(self._queries[1]), "unseen": len(self._queries[0])},
            "searches": {"seen": self._searches[1], "unseen": self._searches[0]},
        }


def format_summary(statistics: Mapping[str, Any]) -> str:
    """Returns what `stats.json` holds, to read."""
    lines = []
    for setting, counts in statistics["inputs"].items():
        lines.append(f"{setting}: {counts['rows']:,} rows, {counts['rejected']:,} rejected")
        lines += [f"  {count:,} {reason}" for reason, count in counts["reasons"].items()]
    lines += [f"passed over: {count:,} {what}" for what, count in statistics["passed_over"].items()]
    lines += [f"note: {note}" for note in statistics["notes"]]
    lines.append(f"{'what is left':44} {'lists':>10} {'documents':>12} {'products':>11}")
    lines += [
        f"  {step['name']:42} {step['lists']:10,} {step['documents']:12,} {step['products']:11,}"
        for step in statistics["steps"]
    ]
    for split, described in statistics["splits"].items():
        lines += _format_split(split, described)
    return "\n".join(lines)


def _format_split(split: str, described: Mapping[str, Any]) -> list[str]:
    if not described["lists"]:
        lacks = "; `train` wants some to choose by: see `data.split.validation_rate`" if split == "validation" else ""
        return [f"{split}: no lists{lacks}"]
    labels = ", ".join(f"{label}: {count:,}" for label, count in described["labels"].items())
    lines = [
        f"{split}: {described['lists']:,} lists, {described['rows']:,} rows; "
        f"{described['without_relevant_document']:,} lists without a relevant document, "
        f"{described['with_equal_labels']:,} with equal labels",
        *(f"  {name.replace('_', ' ')}: {format_values(described[name])}" for name in _DISTRIBUTIONS),
        f"  labels: {labels}",
        *(f"  {name}: {format_values(values)}" for name, values in described["features"].items()),
    ]
    if split == "test":
        lines += [f"  {_format_unseen(kind, described[kind])}" for kind in ("queries", "searches")]
    return lines


_DISTRIBUTIONS = ("documents_per_list", "words_per_row", "bytes_per_row")


def format_values(values: Mapping[str, float]) -> str:
    """Returns named numbers, such as those of a distribution, to read."""
    return ", ".join(f"{name} {value:,.4g}" for name, value in values.items())


def _format_unseen(kind: str, counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    if not total:
        return f"{kind}: not known"
    return f"{kind} unseen in training: {counts['unseen']:,} of {total:,} ({counts['unseen'] / total:.1%})"
