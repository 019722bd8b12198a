"""What finds candidates, and one such engine: words in memory, for a catalogue that fits there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tfr_listbert.lists.bm25 import BM25
from tfr_listbert.schema import BM25_FEATURE, DOCUMENT_ID

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
        """Counts the words of `fields` in `products`, whose ids differ."""
        self._products = list(products)
        texts = {str(one[DOCUMENT_ID]): " ".join(str(one.get(name) or "") for name in fields) for one in products}
        self._bm25 = BM25(texts, language)

    def retrieve(self, query: str, count: int) -> list[Product]:
        """Returns at most `count` products that share a word with the query, with their score as `bm25`."""
        scores = self._bm25.score_all(query)
        order = np.argsort(-scores, kind="stable")[:count]
        return [{**self._products[i], BM25_FEATURE: float(scores[i])} for i in order if scores[i] > 0]
