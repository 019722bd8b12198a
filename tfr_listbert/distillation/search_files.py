"""Vectors for the search engine that a shop has: a mapping and bulk files for OpenSearch and Elasticsearch.

Engines search by distance, see `inner_products.py`: a document's vector has one more number than the student's, and a
query's gets a 0, as `encode_query` gives it in `search_vectors`. The bulk files update documents, so that what the
index knows of a product stays: `curl -H "Content-Type: application/x-ndjson" --data-binary @bulk-00000.ndjson
http://127.0.0.1:9200/_bulk`. A document that the index does not have is made of vector and version alone, so that a
new index can be filled. What was stored before and is no more, `removed-00000.ndjson` deletes in the same way, and goes
on to do so until whoever has sent the file removes it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfr_listbert.distillation.inner_products import add_distance_coordinate
from tfr_listbert.distillation.vectors import StoredVectors
from tfr_listbert.schema import VECTOR_FIELD, InputError

MODEL_FIELD = "listbert_model"
"""Version of the student that made a document's vector: ask with a filter on it while an index is being renewed."""

_ID_BYTES = 512
BULK_DOCUMENTS = 2000
"""Documents of one bulk file: a few megabytes, well below what engines take in one request."""


def build_opensearch_mapping(vector_size: int) -> dict[str, Any]:
    """Returns the body that makes an OpenSearch index (2.x or newer) for vectors of so many numbers."""
    method = {"name": "hnsw", "engine": "faiss", "space_type": "l2"}
    vector = {"type": "knn_vector", "dimension": vector_size + 1, "method": method}
    properties = {VECTOR_FIELD: vector, MODEL_FIELD: {"type": "keyword"}}
    return {"settings": {"index": {"knn": True}}, "mappings": {"properties": properties}}


def build_elasticsearch_mapping(vector_size: int) -> dict[str, Any]:
    """Returns the body that makes an Elasticsearch index (8.x or newer) for vectors of so many numbers.

    Of exact floats: newer versions quantize unless told otherwise, and cut off the added number, the largest. With
    seven bits, simulated on 2,952 products, a full scan finds .34 of the ten best.
    """
    options = {"type": "hnsw", "m": 32, "ef_construction": 200}
    vector = {"type": "dense_vector", "dims": vector_size + 1, "index": True, "similarity": "l2_norm"}
    vector["index_options"] = options
    return {"mappings": {"properties": {VECTOR_FIELD: vector, MODEL_FIELD: {"type": "keyword"}}}}


MAPPINGS = {"opensearch": build_opensearch_mapping, "elasticsearch": build_elasticsearch_mapping}


def write_search_files(stored: StoredVectors, engine: str, index: str, folder: Path) -> None:
    """Writes `mapping.json` and `bulk-00000.ndjson`, ...

    Args:
        stored: the vectors.
        engine: `opensearch` or `elasticsearch`.
        index: name of the index.
        folder: a new folder.

    Raises:
        InputError: for an id that the engines do not take.
    """
    for document_id in stored.read_ids():
        if len(document_id.encode()) > _ID_BYTES:
            raise InputError(
                f"An id in {engine} must have at most {_ID_BYTES} bytes, got {len(document_id.encode())}: "
                f"{document_id[:60]!r}... Shorten it, or leave `vectors.formats` without {engine}."
            )
    folder.mkdir()
    mapping = MAPPINGS[engine](stored.vector_size)
    (folder / "mapping.json").write_text(json.dumps(mapping, indent=1) + "\n", encoding="utf-8")
    pairs = list(zip(stored.read_ids(), add_distance_coordinate(stored.read_vectors()), strict=True))
    for number, part in _cut(pairs):
        lines = [_format_update(index, stored.model, *pair) for pair in part]
        (folder / f"bulk-{number:05d}.ndjson").write_text("".join(lines), encoding="utf-8")


def read_deletes(folder: Path) -> set[tuple[str, str]]:
    """Returns index and id of each document that `removed-00000.ndjson`, ... delete; none where there is no such file.

    Raises:
        InputError: if a line is no delete.
    """
    found = set()
    for path in sorted(folder.glob("removed-*.ndjson")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                delete = json.loads(line)["delete"]
                found.add((delete["_index"], delete["_id"]))
            except (ValueError, TypeError, KeyError):
                raise InputError(
                    f"{path} line {number} must be a delete as embed_documents writes it, got {line[:80]!r}. Send and "
                    "remove the file, or mend the line."
                ) from None
    return found


def write_deletes(deletes: Collection[tuple[str, str]], folder: Path) -> None:
    """Writes `removed-00000.ndjson`, ... with a delete of each index and id, if there is any.

    Args:
        deletes: indices and ids.
        folder: a folder without such files.
    """
    possible = sorted(delete for delete in deletes if len(delete[1].encode()) <= _ID_BYTES)  # no engine has others
    for number, part in _cut(possible):
        lines = [_format_action("delete", *delete) for delete in part]
        (folder / f"removed-{number:05d}.ndjson").write_text("".join(lines), encoding="utf-8")


def _cut(items: Sequence[Any]) -> Iterator[tuple[int, Sequence[Any]]]:
    """Yields the items of each file with its number."""
    for number, start in enumerate(range(0, len(items), BULK_DOCUMENTS)):
        yield number, items[start : start + BULK_DOCUMENTS]


def _format_action(action: str, index: str, document_id: str) -> str:
    return json.dumps({action: {"_index": index, "_id": document_id}}, ensure_ascii=False) + "\n"


def _format_update(index: str, model: str, document_id: str, vector: np.ndarray) -> str:
    numbers = [float(f"{number:.7g}") for number in vector]
    change = {"doc": {VECTOR_FIELD: numbers, MODEL_FIELD: model}, "doc_as_upsert": True}
    return f"{_format_action('update', index, document_id)}{json.dumps(change)}\n"
