"""A FAISS index of stored vectors, with its recall measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tfr_listbert.distillation.inner_products import add_distance_coordinate
from tfr_listbert.distillation.vectors import StoredVectors
from tfr_listbert.schema import InputError

INDEX_FILE = "index.faiss"
IDS_FILE = "ids.json"
RECALL_FILE = "recall.json"

NEIGHBOURS = 32
"""Edges of a node of the graph; FAISS's own default."""
SEARCH_WIDTHS = (16, 32, 64, 128, 256)
WANTED_RECALL = 0.99
RESULTS = 10
_EXACT_QUERIES = 50  # of which the scores of all documents are in memory at once


def write_faiss_index(stored: StoredVectors, queries: np.ndarray, folder: Path) -> dict[str, Any]:
    """Writes an HNSW index (Malkov and Yashunin 2016) and the recall that it reaches.

    It takes a query's vector [V] as it is, and gives distances that rise as scores fall. `recall.json` has the share of
    the exact 10 best that the index finds, by width of its search (`efSearch`); the index is left with the smallest
    width that finds 99 %, or the largest tried.

    Args:
        stored: the vectors.
        queries: [B, V] float32, vectors of queries that visitors ask.
        folder: a new folder; gets index.faiss, ids.json (ids by row) and recall.json.

    Returns:
        What `recall.json` says.

    Raises:
        InputError: if FAISS is not installed.
    """
    faiss = import_faiss()
    vectors = stored.read_vectors().astype(np.float32)
    graph = faiss.IndexHNSWFlat(stored.vector_size + 1, NEIGHBOURS)
    graph.hnsw.efConstruction = 200
    graph.add(add_distance_coordinate(vectors))
    index = faiss.IndexPreTransform(_build_zero_coordinate(faiss, stored.vector_size), graph)
    lowest = _find_lowest(vectors, queries)
    recalls = {}
    for width in SEARCH_WIDTHS:
        graph.hnsw.efSearch = width
        recalls[width] = _measure_recall(index, vectors, queries, lowest)
    chosen = next((width for width, recall in recalls.items() if recall >= WANTED_RECALL), SEARCH_WIDTHS[-1])
    graph.hnsw.efSearch = chosen
    found = {"model": stored.model, "queries": len(queries), "recall_10": recalls, "search_width": chosen}
    folder.mkdir()
    faiss.write_index(index, str(folder / INDEX_FILE))
    (folder / IDS_FILE).write_text(json.dumps(stored.read_ids(), ensure_ascii=False), encoding="utf-8")
    (folder / RECALL_FILE).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def import_faiss() -> Any:
    """Returns the package `faiss`.

    Raises:
        InputError: if it is not installed.
    """
    try:
        import faiss
    except ImportError:
        message = "`vectors.formats` has faiss, which needs the package faiss-cpu: pip install '.[faiss]'."
        raise InputError(message) from None
    return faiss


def _build_zero_coordinate(faiss: Any, vector_size: int) -> Any:
    """Returns what adds a 0 to a query's vector."""
    transform = faiss.LinearTransform(vector_size, vector_size + 1, False)
    faiss.copy_array_to_vector(np.eye(vector_size + 1, vector_size, dtype=np.float32).ravel(), transform.A)
    transform.is_trained = True
    return transform


def _find_lowest(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Returns the score [B] of the last of the exact best documents of each query; few queries at a time."""
    results = min(RESULTS, len(vectors))
    parts = [queries[start : start + _EXACT_QUERIES] for start in range(0, len(queries), _EXACT_QUERIES)]
    return np.concatenate([np.partition(part @ vectors.T, -results, axis=1)[:, -results] for part in parts])


def _measure_recall(index: Any, vectors: np.ndarray, queries: np.ndarray, lowest: np.ndarray) -> float:
    """Returns the share of the exact best documents that the index finds; equal scores count as found."""
    _, found = index.search(queries, min(RESULTS, len(vectors)))  # [B, R]
    own = np.einsum("bv,brv->br", queries, vectors[np.maximum(found, 0)])
    largest = np.maximum(np.abs(own).max(axis=1), np.abs(lowest))  # scores may be of any size
    is_best = own >= (lowest - 1e-5 * largest)[:, np.newaxis]
    return float(np.mean(is_best & (found >= 0)))
