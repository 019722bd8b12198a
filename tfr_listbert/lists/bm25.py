"""BM25 over stemmed words: a feature of every list and the baseline that a ranker has to beat."""

from __future__ import annotations

import copy
import functools
import re
import unicodedata
from collections.abc import Mapping, Sequence

import bm25s
import numpy as np
import scipy.sparse
import Stemmer

NO_STEMMER = "none"
"""The language that compares words as they are."""

_MARKS = "".join(chr(code) for code in range(0x20000) if unicodedata.category(chr(code)).startswith("M"))
"""Signs that combine with the letter before them, as the vowels of Hindi and Tamil do; no `\\w` of `re`."""
_WORD = re.compile(rf"\w[\w{_MARKS}]*")


def parse_words(text: str, language: str = "english") -> list[str]:
    """Returns the lowercased words of a text, each reduced to its stem; none is left out, however short or frequent.

    Args:
        text: any text.
        language: a language of the Snowball stemmers, or `none`.

    >>> parse_words("Running Shoes, size 8")
    ['run', 'shoe', 'size', '8']
    >>> parse_words("हिन्दी जूते", "none")
    ['हिन्दी', 'जूते']
    """
    return _stem(_build_stemmer(language), text)


class BM25:
    """BM25 in Lucene's form over a fixed set of documents.

    A word t that stands f times in a document of n words adds

        log(1 + (D - d_t + 0.5) / (d_t + 0.5)) * f / (f + k1 * (1 - b + b * n / mean n))

    for each time it stands in the query; D documents, d_t of them with the word (Robertson & Zaragoza 2009, eq. 3.15,
    with Lucene's idf, which is never negative). The weights are those of `bm25s`.
    """

    def __init__(self, documents: Mapping[str, str], language: str = "english", k1: float = 1.5, b: float = 0.75):
        """Counts the words of the documents.

        Args:
            documents: text by document id; all statistics are taken over these.
            language: a language of the Snowball stemmers, or `none`.
            k1: how slowly a repeated word saturates, >= 0.
            b: how much long documents are held back, from 0 to 1.
        """
        self._stemmer = _build_stemmer(language)
        self._rows = {document_id: row for row, document_id in enumerate(documents)}
        words = [_stem(self._stemmer, text) for text in documents.values()]
        self._columns = {word: column for column, word in enumerate(sorted({word for row in words for word in row}))}
        self._weights = self._build_weights([[self._columns[word] for word in row] for row in words], k1, b)

    def _build_weights(self, words: list[list[int]], k1: float, b: float) -> scipy.sparse.csr_matrix:
        shape = (len(words), len(self._columns))
        if not self._columns:
            return scipy.sparse.csr_matrix(shape, dtype=np.float32)
        index = bm25s.BM25(k1=k1, b=b, method="lucene").build_index_from_ids(
            list(range(shape[1])), words, show_progress=False
        )
        by_word = scipy.sparse.csc_matrix((index["data"], index["indices"], index["indptr"]), shape=shape)
        return by_word.tocsr()  # rows of documents, so that a list is scored without touching the rest

    def choose(self, document_ids: Sequence[str]) -> BM25:
        """Returns a BM25 of some of the documents alone, in this order, with the statistics of all.

        Raises:
            KeyError: for an id that was not among the documents.
        """
        chosen = copy.copy(self)
        chosen._weights = self._weights[[self._rows[document_id] for document_id in document_ids]]
        chosen._rows = {document_id: row for row, document_id in enumerate(document_ids)}
        return chosen

    def score(self, query: str, document_ids: Sequence[str]) -> np.ndarray:
        """Returns the scores of some documents for a query.

        Args:
            query: any text; words that no document has add nothing.
            document_ids: L ids of documents given at construction.

        Returns:
            float32 [L], each >= 0.

        Raises:
            KeyError: for an id that was not among the documents.
        """
        rows = [self._rows[document_id] for document_id in document_ids]
        return np.asarray(self._weights[rows] @ self._count_words(query), dtype=np.float32)

    def score_all(self, query: str) -> np.ndarray:
        """Returns the scores of all documents in the order in which they were given, float32 [D]."""
        return np.asarray(self._weights @ self._count_words(query), dtype=np.float32)

    def _count_words(self, query: str) -> np.ndarray:
        words = [self._columns[word] for word in _stem(self._stemmer, query) if word in self._columns]
        return np.bincount(np.asarray(words, dtype=np.int64), minlength=len(self._columns)).astype(np.float32)


@functools.cache
def _build_stemmer(language: str) -> Stemmer.Stemmer | None:
    return None if language == NO_STEMMER else Stemmer.Stemmer(language)


def _stem(stemmer: Stemmer.Stemmer | None, text: str) -> list[str]:
    words = _WORD.findall(unicodedata.normalize("NFC", text.lower()))
    return words if stemmer is None else stemmer.stemWords(words)
