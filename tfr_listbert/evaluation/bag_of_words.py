"""A ranker without word order: what can be learned from lists by counting which words meet."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import scipy.optimize
import scipy.sparse

from tfr_listbert.lists.bm25 import BM25, parse_words
from tfr_listbert.schema import Document, RankedList

_BUCKET_BITS = 18
_BUCKETS = 2**_BUCKET_BITS
_REGULARIZATION = 5e-4
_ITERATIONS = 60
_CORRECTIONS = 4  # of L-BFGS; its own work, which grows with their square, would otherwise outweigh the loss
_MULTIPLIERS = np.asarray([0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93], np.uint64)


class BagOfWordsRanker:
    """A linear model of the BM25 score and of every pair of a query's and a document's stemmed word, hashed.

    It learns which words of documents answer which words of queries, synonyms included, but neither their order nor
    what pairs mean together. It is trained on the softmax cross entropy of a list, with labels over their sum as the
    target (TF-Ranking's `softmax_loss`, each list of weight 1), and an L2 penalty, by L-BFGS.
    """

    def __init__(self, lists: Sequence[RankedList], bm25: BM25, language: str = "english"):
        """Trains on lists.

        Args:
            lists: lists to train on; those without a label above 0 say nothing and are left out.
            bm25: scores all of their documents and all of those to be ranked later.
            language: of `parse_words`.
        """
        self._bm25, self._language = bm25, language
        self._document_words: dict[str, np.ndarray] = {}
        told = [ranked_list for ranked_list in lists if any(document.label > 0 for document in ranked_list.documents)]
        self._weights = np.zeros(_BUCKETS + 1)
        if told:
            self._weights = self._train(told)

    def score(self, ranked_list: RankedList) -> np.ndarray:
        """Returns the scores of the list's documents, float64 [L]; labels are not looked at."""
        return self._build_rows([ranked_list]) @ self._weights

    def _train(self, lists: Sequence[RankedList]) -> np.ndarray:
        rows = self._build_rows(lists)
        columns = rows.T.tocsr()  # transposed once: the gradient needs it in every step
        lengths = np.asarray([len(ranked_list.documents) for ranked_list in lists])
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        labels = np.asarray([document.label for ranked_list in lists for document in ranked_list.documents])
        targets = labels / np.repeat(np.add.reduceat(labels, starts), lengths)
        penalty = np.full(_BUCKETS + 1, _REGULARIZATION)
        penalty[_BUCKETS] = 0  # the BM25 score is free

        def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
            scores = rows @ weights
            scores -= np.repeat(np.maximum.reduceat(scores, starts), lengths)
            log_chances = scores - np.repeat(np.log(np.add.reduceat(np.exp(scores), starts)), lengths)
            value = -(targets @ log_chances) / len(lists) + 0.5 * (penalty * weights) @ weights
            return value, columns @ ((np.exp(log_chances) - targets) / len(lists)) + penalty * weights

        options = {"maxiter": _ITERATIONS, "maxcor": _CORRECTIONS}
        return scipy.optimize.minimize(loss, self._weights, jac=True, method="L-BFGS-B", options=options).x

    def _build_rows(self, lists: Sequence[RankedList]) -> scipy.sparse.csr_matrix:
        """Returns features [N, buckets + 1] of all documents; the last column is the BM25 score."""
        pairs, scores = [], []
        for ranked_list in lists:
            words = parse_words(ranked_list.query, self._language)
            query = _hash_words(["", *words])  # "" is for documents that suit any query
            pairs += [_hash_pairs(query, self._hash_document(document)) for document in ranked_list.documents]
            ids = [document.document_id for document in ranked_list.documents]
            scores.append(self._bm25.score(ranked_list.query, ids))
        starts = np.cumsum([0, *map(len, pairs)])
        counts = scipy.sparse.csr_matrix(
            (np.ones(starts[-1]), np.concatenate(pairs), starts), shape=(len(pairs), _BUCKETS)
        )
        return scipy.sparse.hstack([counts, np.concatenate(scores)[:, None].astype(np.float64)], format="csr")

    def _hash_document(self, document: Document) -> np.ndarray:
        if document.document_id not in self._document_words:
            words = parse_words(document.text, self._language)
            self._document_words[document.document_id] = _hash_words(words)
        return self._document_words[document.document_id]


def _hash_words(words: Iterable[str]) -> np.ndarray:
    return np.asarray([zlib.crc32(word.encode()) for word in sorted(set(words))], np.uint64)


def _hash_pairs(query: np.ndarray, document: np.ndarray) -> np.ndarray:
    """Returns the bucket of each pair, int32 [pairs], by multiplicative hashing: the top bits of a product mod 2^64."""
    mixed = (query[:, None] * _MULTIPLIERS[0] + document).ravel() * _MULTIPLIERS[1]
    return (mixed >> np.uint64(64 - _BUCKET_BITS)).astype(np.int32)
