"""What a served student answers: raw text or ids of stored vectors in, scores out, by signature."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from tfr_listbert.export.half_weights import HalfWeight
from tfr_listbert.export.signatures import Signature, TextRanker, require_as_many
from tfr_listbert.models.student import TwoTowers
from tfr_listbert.schema import DOCUMENT_IDS, PADDING_SCORE, QUERY, RESULTS, InputError
from tfr_listbert.text.packing import RowPacker

UNKNOWN_SCORE = PADDING_SCORE / 2
"""Score of an id without a vector: below any real document, above padding."""


class VectorTable(tf.Module):
    """A catalogue's vectors within a model, found by their ids.

    Vectors of float16 are so on disk alone: a server casts them once, when it loads the model.

    Attributes:
        vectors: [C + 1, V] float32, the last row zeros, for ids that are not known.
        ids: [C] string.
    """

    def __init__(self, ids: Sequence[str], vectors: np.ndarray):
        """Takes over the vectors [C, V] of the documents `ids`, all different.

        Raises:
            InputError: if an id has a line break, which the lookup's file cannot hold.
        """
        super().__init__(name="vector_table")
        wrong = [one for one in ids if "\n" in one or "\r" in one]
        if wrong:
            raise InputError(f"A document's id in an export must not have a line break, got {wrong[0]!r}.")
        self.size = len(ids)
        self._is_half = vectors.dtype == np.float16
        padded = np.pad(vectors.astype(np.float32), [(0, 1), (0, 0)])
        self.vectors = tf.Variable(padded, trainable=False, name="vectors")
        self.ids = tf.Variable(np.array(ids, object), dtype=tf.string, trainable=False, name="ids")
        self._scratch = tempfile.TemporaryDirectory()
        path = Path(self._scratch.name) / "document_ids.txt"
        path.write_text("".join(f"{one}\n" for one in ids), encoding="utf-8")
        lines, numbers = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
        initializer = tf.lookup.TextFileInitializer(str(path), tf.string, lines, tf.int64, numbers)
        self._rows = tf.lookup.StaticHashTable(initializer, default_value=self.size)

    def find(self, document_ids: tf.Tensor) -> tf.Tensor:
        """Returns the row of each id, int64 of the same shape; `size` for those that are not known."""
        return self._rows.lookup(document_ids)

    def score(self, queries: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns the scores [B, L] of the documents in `rows` [B, L] for queries [B, V]."""
        # As sums over products: a matrix product as small as this one costs oneDNN 90 us
        return tf.reduce_sum(tf.gather(self.vectors, rows) * queries[:, tf.newaxis], axis=2)

    def search(self, queries: tf.Tensor, results: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns scores and rows [B, K] of the K best of all documents for queries [B, V], exactly."""
        scores = tf.matmul(queries, self.vectors[: self.size], transpose_b=True)  # [B, C]
        return tf.math.top_k(scores, tf.minimum(results, self.size))

    def build_saved_module(self) -> tf.Module:
        """Returns the object to save beside the signatures."""
        module = tf.Module(name="saved_vectors")
        module.vectors = HalfWeight(self.vectors) if self._is_half else self.vectors
        module.ids, module.rows = self.ids, self._rows
        return module


class TextStudent(TextRanker):
    """Tokenizer, packing and two towers in one, fed with raw text or, where there are stored vectors, with ids."""

    def __init__(
        self,
        packer: RowPacker,
        towers: TwoTowers,
        fields: Sequence[str],
        table: VectorTable | None = None,
        results: int = 10,
        features: Sequence[str] = (),
    ):
        """Puts the parts together.

        Args:
            packer: text to token rows.
            towers: rows to vectors.
            fields: names of the text fields that `packer` reads.
            table: stored vectors of the same towers; without them there is no `rank_ids` and no `search`.
            results: documents that `search` finds where a request's `results` is 0.
            features: names of numeric features that its signatures on text take; it reads none of them itself.
        """
        super().__init__(packer, towers, fields, features, 0)
        self._table = table
        self._results = results

    @property
    def has_vectors(self) -> bool:
        """Whether documents can be ranked by their ids."""
        return self._table is not None

    def _trace(self, scorer: TwoTowers) -> None:
        rows = tf.RaggedTensorSpec([None, None], tf.int32, ragged_rank=1)
        dense = tf.TensorSpec([None, None], tf.int32)
        encode_query = tf.function(
            lambda tokens: [scorer.query_tower.encode_few(tokens)], input_signature=[dense], autograph=False
        )
        # A query is a dozen tokens: to put the weights into the form that products want costs more than the products.
        # As constants they are put so once, when the model is loaded; but as constants they are float32.
        concrete = encode_query.get_concrete_function()
        self._encode_query_rows = concrete if self._is_half else convert_variables_to_constants_v2(concrete)
        self._encode_document_rows = tf.function(
            lambda tokens: scorer.document_tower(tokens), input_signature=[rows], autograph=False
        )

    def halve_weights(self) -> None:
        """Rounds the weights to float16, and has them saved so; a query then takes longer than by float32 constants.

        Raises:
            InputError: if a weight is beyond float16's range.
        """
        super().halve_weights()
        self._trace(self._row_scorer)

    def encode_queries(self, queries: tf.Tensor) -> tf.Tensor:
        """Returns the vectors [B, V] float32 of `queries` [B] string."""
        rows = self._packer.pack_query_matrix(queries)
        return tf.ensure_shape(self._encode_query_rows(rows)[0], [None, None])

    def encode_documents(self, fields: Mapping[str, tf.Tensor], mask: tf.Tensor) -> tf.Tensor:
        """Returns the vector of each true entry of `mask` [B, L], list by list; fields [B, L] string."""
        return self._encode_document_rows(self._packer.pack_documents(fields, mask))

    def score_documents(
        self,
        queries: tf.Tensor,
        fields: Mapping[str, tf.Tensor],
        features: Mapping[str, tf.Tensor],
        mask: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the score of each true entry of `mask` [B, L], list by list; both sides are encoded afresh."""
        vectors = tf.gather(self.encode_queries(queries), tf.where(mask)[:, 0])
        return tf.reduce_sum(vectors * self.encode_documents(fields, mask), axis=1)

    def rank_ids(self, queries: tf.Tensor, document_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns scores and order of stored documents.

        Args:
            queries: [B] string.
            document_ids: [B, L] string; "" is padding.

        Returns:
            `scores`, `sorted_scores` [B, L] float32, `order` [B, L] int32, best first, unknown ids after all that are
            known and padding last; `is_known` [B, L] bool, false for padding, too.
        """
        check = require_as_many("lists", QUERY, tf.size(queries), DOCUMENT_IDS, tf.shape(document_ids)[0])
        with tf.control_dependencies([check]):
            rows = self._table.find(document_ids)
        is_known = rows < self._table.size
        scores = self._table.score(self.encode_queries(queries), rows)
        others = tf.where(tf.equal(document_ids, ""), PADDING_SCORE, UNKNOWN_SCORE)
        return {**self._order(tf.where(is_known, scores, others)), "is_known": is_known}

    def search(self, queries: tf.Tensor, results: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns `document_ids` [B, K] string and `scores` [B, K] of the best of all stored documents.

        Args:
            queries: [B] string.
            results: [B] int32; the largest counts. 0 asks for the number that the export sets.
        """
        most = tf.reduce_max(tf.concat([[0], results], axis=0))
        message = f"{RESULTS} must be >= 0:"
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(results >= 0), [message, results])]):
            most = tf.where(most > 0, most, self._results)
        scores, rows = self._table.search(self.encode_queries(queries), most)
        return {DOCUMENT_IDS: tf.gather(self._table.ids, rows), "scores": scores}

    def _list_signatures(self) -> dict[str, Signature]:
        """Returns, beside a ranker's signatures but `score_tokens`, those of vectors:

        - `encode_query` takes `query` [B] and gives `vectors` [B, V] and, with the 0 that indexes by distance want,
          `search_vectors` [B, V + 1];
        - `encode_document` takes each field [N] and gives `vectors` [N, V];
        - `rank_ids` takes `query` [B] and `document_ids` [B, L]; see there;
        - `search` takes `query` [B] and `results` [B] int32; see there.
        """
        query = {QUERY: tf.TensorSpec([None], tf.string)}
        ids = {DOCUMENT_IDS: tf.TensorSpec([None, None], tf.string)}
        own = {
            "encode_query": (self._answer_query, query),
            "encode_document": (self._answer_document, {n: tf.TensorSpec([None], tf.string) for n in self.fields}),
        }
        if self._table is not None:
            own["rank_ids"] = (self._answer_ids, query | ids)
            own["search"] = (self._answer_search, query | {RESULTS: tf.TensorSpec([None], tf.int32)})
        others = super()._list_signatures()
        return {name: signature for name, signature in others.items() if name != "score_tokens"} | own

    def build_saved_module(self) -> tf.Module:
        """Returns the object to save beside the signatures."""
        module = super().build_saved_module()
        if self._table is not None:
            module.table = self._table.build_saved_module()
        return module

    def _answer_query(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        vectors = self.encode_queries(inputs[QUERY])
        return {"vectors": vectors, "search_vectors": tf.pad(vectors, [[0, 0], [0, 1]])}

    def _answer_document(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        first, *others = self.fields
        checks = [
            require_as_many("documents", name, tf.size(inputs[name]), first, tf.size(inputs[first])) for name in others
        ]
        with tf.control_dependencies(checks):
            fields = {name: tf.identity(inputs[name])[tf.newaxis] for name in self.fields}
        return {"vectors": self.encode_documents(fields, tf.ones_like(fields[first], tf.bool))}

    def _answer_ids(self, **inputs: tf.Tensor) -> dict[str, Any]:
        return self.rank_ids(inputs[QUERY], inputs[DOCUMENT_IDS])

    def _answer_search(self, **inputs: tf.Tensor) -> dict[str, Any]:
        return self.search(inputs[QUERY], inputs[RESULTS])
