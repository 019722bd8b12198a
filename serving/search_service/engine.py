"""What finds candidates, and one such engine: words in memory, for a catalogue that fits there."""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tfr_listbert.lists.bm25 import BM25
from tfr_listbert.schema import DOCUMENT_ID

Product = Mapping[str, Any]


class EngineError(Exception):
    """No candidates could be found; the message says why."""


class Engine(Protocol):
    """Finds the products for a query, the best first. Thread-safe."""

    def retrieve(self, query: str, count: int) -> list[Product]:
        """Returns at most `count` products, each with its `document_id`.

        Raises:
            EngineError: if it cannot look.
        """
        ...


class MemoryEngine:
    """BM25 over stemmed words of all text fields."""

    def __init__(self, products: Sequence[Product], fields: Sequence[str], language: str = "english"):
        """Counts the words of `fields` in `products`; of two with the same id the later one stays."""
        by_id = {str(product[DOCUMENT_ID]): product for product in products}
        self._products = list(by_id.values())
        texts = {key: " ".join(str(one.get(name) or "") for name in fields) for key, one in by_id.items()}
        self._bm25 = BM25(texts, language)

    def retrieve(self, query: str, count: int) -> list[Product]:
        """Returns at most `count` products that share a word with the query, with their score as `bm25`."""
        scores = self._bm25.score_all(query)
        order = np.argsort(-scores, kind="stable")[:count]
        return [{**self._products[i], "bm25": float(scores[i])} for i in order if scores[i] > 0]


def read_products(
    path: str | Path, fields: Sequence[str], features: Sequence[str] = (), id_column: str = DOCUMENT_ID
) -> list[dict[str, Any]]:
    """Returns the products in a CSV file, gzip or not; the columns `features` as numbers, NaN where empty.

    Args:
        path: the file.
        fields: columns that must be there, of text.
        features: columns of numbers.
        id_column: column of the id, which becomes `document_id`.

    Raises:
        ValueError: if the file is cut or no CSV, lacks a column, or a number is none.
    """
    opened = gzip.open if str(path).endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (EOFError, csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}.") from None
    missing = [name for name in (id_column, *fields, *features) if name not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"{path} has no column {missing[0]!r}; it has {', '.join(reader.fieldnames or ['none'])}.")
    for number, row in enumerate(rows, start=1):
        row[DOCUMENT_ID] = row[id_column]
        for name in features:
            try:
                row[name] = float(row[name] or math.nan)
                if math.isinf(row[name]):
                    raise ValueError
            except ValueError:
                raise ValueError(f"{path}: product {number}, {name} must be a number, got {row[name]!r}.") from None
    return rows
