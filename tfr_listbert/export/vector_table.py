"""A catalogue's vectors within a model."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfr_listbert.export.half_weights import HalfWeight
from tfr_listbert.schema import InputError


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
        # With its size a server refuses a file that was cut while it was copied, as it does cut weights
        initializer = tf.lookup.TextFileInitializer(str(path), tf.string, lines, tf.int64, numbers, self.size)
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
