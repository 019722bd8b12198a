"""The engine for a catalogue in OpenSearch: candidates by its own BM25, through its official client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import OpenSearchException

from tfr_listbert.schema import DOCUMENT_ID, VECTOR_FIELD

from .engine import EngineError, Product


class OpenSearchEngine:
    """Finds the documents of an index that hold words of the query. Thread-safe."""

    def __init__(self, url: str, index: str, fields: Sequence[str], timeout_seconds: float = 2.0):
        """Makes the client; nothing is sent yet.

        Args:
            url: `http://HOST:9200`, or `https://USER:PASSWORD@HOST:9200`.
            index: name of the index, or of an alias.
            fields: its text fields to search in.
            timeout_seconds: longest wait for it. There is no second attempt: a visitor is waiting.
        """
        self._client = OpenSearch(url, timeout=timeout_seconds, max_retries=0, http_compress=True)
        self._place = f"index {index!r} of OpenSearch"
        self._index = index
        self._fields = list(fields)

    def retrieve(self, query: str, count: int) -> list[Product]:
        """Returns at most `count` documents as they were indexed, with the engine's score as `engine_score`.

        It is not called `bm25`: its scale is another than that of the feature in training. A document without a
        `document_id` gets that of the index.

        Raises:
            EngineError: if the index cannot be asked.
        """
        # Words may be spread over the fields, as in the score of `MemoryEngine`, which joins them.
        match = {"query": query, "fields": self._fields, "type": "most_fields"}
        body = {"query": {"multi_match": match}, "size": count, "_source": {"excludes": [VECTOR_FIELD]}}
        try:
            hits = self._client.search(body=body, index=self._index)["hits"]["hits"]
        except OpenSearchException as error:
            raise EngineError(f"The {self._place} cannot be asked: {error}") from None
        return [_build_product(hit) for hit in hits]


def _build_product(hit: Mapping[str, Any]) -> Product:
    source = hit["_source"]
    own = source.get(DOCUMENT_ID)
    return {**source, DOCUMENT_ID: str(hit["_id"] if own is None else own), "engine_score": hit["_score"]}
