"""Lists widened by products that nobody judged: those that BM25 ranks first, and a student's own nearest.

A loss on labels does not see them; to a loss on the teacher they are documents like others, and the teacher's margin
says how much of a negative each is (`margin_mse_loss`, `min_margin`).
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tfr_listbert.config import Config
from tfr_listbert.distillation.encoding import StudentEncoder
from tfr_listbert.evaluation.systems import build_bm25
from tfr_listbert.lists.elwc import read_lists
from tfr_listbert.lists.statistics import COMPUTES_BM25, STATISTICS_FILE
from tfr_listbert.schema import BM25_FEATURE, IS_JUDGED, Document, RankedList, set_feature

Finder = Callable[[str], np.ndarray]
"""A query to a score of every product, [C]; -inf of what it does not find."""


def build_widening(config: Config) -> Callable[[RankedList], RankedList]:
    """Returns what gives a list's documents `is_judged` and adds products where `teacher` asks for them.

    Raises:
        InputError: as `Widener`.
    """
    settings = config.teacher
    return Widener(config).widen if settings.bm25_neighbours or settings.student_neighbours else mark_judged


def mark_judged(ranked_list: RankedList) -> RankedList:
    """Returns the list with `is_judged` 1 among the features of every document."""
    return set_feature(ranked_list, IS_JUDGED, [1.0] * len(ranked_list.documents))


class Widener:
    """Adds products to lists.

    Products are those of the training lists, whose texts and features (but `bm25`, which is computed for the query, or
    missing where the source brought its own) they keep. BM25 counts words in all prepared documents, as
    `prepare_data` does for the feature.
    """

    def __init__(self, config: Config):
        """Reads the products, and the student whose nearest are to be added.

        Raises:
            InputError: if there are no training lists, or `teacher.student` is not the run folder of a student.
        """
        settings = config.teacher
        self._products = _read_products(config.data.lists)
        self._ids = [product.document_id for product in self._products]
        self._bm25 = build_bm25(config).choose(self._ids)
        self._computes_bm25 = _computes_bm25(Path(config.data.lists))
        self._finders: list[tuple[Finder, int]] = []
        if settings.bm25_neighbours:
            self._finders.append((self._score_by_bm25, settings.bm25_neighbours))
        if settings.student_neighbours:
            self._finders.append((_build_nearest(settings.student, self._products), settings.student_neighbours))

    def widen(self, ranked_list: RankedList) -> RankedList:
        """Returns the list with `is_judged` among its documents' features, and products added where that is 0.

        Of BM25's neighbours there are fewer than asked for where fewer products share a word with the query.
        """
        known = {document.document_id for document in ranked_list.documents}
        added: list[Document] = []
        for find, count in self._finders:
            scores = find(ranked_list.query)
            order = np.argsort(-scores, kind="stable")[: count + len(known)]
            found = order[np.isfinite(scores[order])]
            fresh = [self._products[row] for row in found if self._ids[row] not in known]
            added += fresh[:count]
            known.update(document.document_id for document in fresh[:count])
        documents = (*mark_judged(ranked_list).documents, *self._build_added(ranked_list.query, added))
        return dataclasses.replace(ranked_list, documents=documents)

    def _score_by_bm25(self, query: str) -> np.ndarray:
        scores = self._bm25.score_all(query)
        return np.where(scores > 0, scores, -np.inf)

    def _build_added(self, query: str, products: Sequence[Document]) -> list[Document]:
        scores = self._bm25.score(query, [one.document_id for one in products]) if products else []
        return [
            _build_unjudged(one, float(score) if self._computes_bm25 else math.nan)
            for one, score in zip(products, scores, strict=True)
        ]


def _read_products(folder: str | Path) -> list[Document]:
    """Returns the products of the training lists by their ids."""
    found: dict[str, Document] = {}
    for ranked_list in read_lists(folder, "train"):
        for document in ranked_list.documents:
            found.setdefault(document.document_id, document)
    return [found[document_id] for document_id in sorted(found)]


def _computes_bm25(folder: Path) -> bool:
    """Says whether `prepare_data` computed the feature `bm25` of the lists; their source may have brought its own."""
    path = folder / STATISTICS_FILE
    return path.exists() and json.loads(path.read_text(encoding="utf-8")).get(COMPUTES_BM25, False)


def _build_nearest(run: str, products: Sequence[Document]) -> Finder:
    encoder = StudentEncoder(run)
    vectors = np.concatenate([encoder.encode_documents(products[i : i + 256]) for i in range(0, len(products), 256)])
    return lambda query: vectors @ encoder.encode_queries([query])[0]


def _build_unjudged(product: Document, bm25: float) -> Document:
    features: Mapping[str, float] = {**product.features, IS_JUDGED: 0.0}
    if BM25_FEATURE in features:
        features = {**features, BM25_FEATURE: bm25}
    return Document(product.document_id, product.fields, 0.0, features)
