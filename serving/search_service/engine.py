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
        """Counts the words of `fields` in `products`."""
        self._products = list(products)
        self._ids = [str(product[DOCUMENT_ID]) for product in self._products]
        texts = {
            key: " ".join(str(product.get(name) or "") for name in fields)
            for key, product in zip(self._ids, self._products, strict=True)
        }
        self._bm25 = BM25(texts, language)

    def retrieve(self, query: str, count: int) -> list[Product]:
        """Returns at most `count` products that share a word with the query, with their score as `bm25`."""
        scores = self._bm25.score(query, self._ids)
        order = np.argsort(-scores, kind="stable")[:count]
        return [{**self._products[i], "bm25": float(scores[i])} for i in order if scores[i] > 0]


def read_products(path: str | Path, features: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Returns the products in a CSV file, gzip or not; the columns `features` as numbers, NaN where empty."""
    opened = gzip.open if str(path).endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.update({name: float(row[name]) if row.get(name) else math.nan for name in features})
    return rows
