"""The student: query and document apart, a vector each; their dot product is the score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfr_listbert.encoders.dropout import drop, resolve_seed
from tfr_listbert.models.row_encoder import encode_padded, encode_rows, fold_head_seed


class Tower(tf.keras.layers.Layer):
    """Token rows to vectors: encoder, pooling and a linear layer."""

    def __init__(
        self,
        encoder: tf.keras.layers.Layer,
        vector_size: int,
        widths: Sequence[int] = (),
        pooling: str = "first_token",
        dropout_rate: float = 0.1,
        max_tokens: int | None = None,
        name: str = "tower",
    ):
        """Makes the tower and the weights of its linear layer.

        Args:
            encoder: [N, T] tokens to vectors, e.g. `RobertaEncoder`; may be another tower's, too.
            vector_size: V, numbers in a vector.
            widths: into which rows are sorted, ascending; without any all are padded to the longest that came.
            pooling: `first_token` or `mean`.
            dropout_rate: of the pooled vector.
            max_tokens: most tokens of which activations are in memory, where there are widths; see `encode_rows`.
            name: name of the layer.
        """
        super().__init__(name=name)
        self.encoder = encoder
        width = encoder.shape.width
        # After LayerNorm a pooled vector has the norm sqrt(H); with this a dot product begins with a deviation of 1.
        deviation = 1 / (math.sqrt(width) * vector_size**0.25)
        self.head = tf.keras.layers.Dense(
            vector_size,
            kernel_initializer=tf.keras.initializers.TruncatedNormal(stddev=deviation),
            dtype=tf.float32,
            name="head",
        )
        self.head.build((None, width))
        self._widths, self._pooling, self._max_tokens = tuple(widths), pooling, max_tokens
        self._dropout_rate = dropout_rate

    def call(self, tokens: tf.RaggedTensor, seed: tf.Tensor | None = None, training: bool | None = None) -> tf.Tensor:
        """Returns the vector of each row, [N, V] float32.

        Args:
            tokens: [N, (T)] int32, rows of `RowPacker.pack_queries` or `pack_documents`.
            seed: [2] int32, from which dropout masks are drawn; needed in training.
            training: whether to drop.
        """
        seed = resolve_seed(seed, training)
        if not self._widths:
            return self._encode_padded(tokens.to_tensor(self.encoder.pad_id), seed, training, few_rows=False)
        rest = (self._widths, seed, training, self._max_tokens, self._pooling)
        return self._project(encode_rows(self.encoder, tokens, *rest), seed, training)

    def encode_few(self, tokens: tf.Tensor) -> tf.Tensor:
        """Returns the vector of each row, [N, V] float32, of few rows [N, T] that are padded, as a request has them."""
        return self._encode_padded(tokens, tf.zeros([2], tf.int32), training=False, few_rows=True)

    def _encode_padded(self, tokens: tf.Tensor, seed: tf.Tensor, training: bool | None, few_rows: bool) -> tf.Tensor:
        pooled = encode_padded(self.encoder, tokens, seed, training, self._pooling, few_rows)
        return self._project(pooled, seed, training)

    def _project(self, pooled: tf.Tensor, seed: tf.Tensor, training: bool | None) -> tf.Tensor:
        head_seed = fold_head_seed(self.encoder, self._widths, seed)
        return self.head(drop(tf.cast(pooled, tf.float32), self._dropout_rate, head_seed, 0, training))


class TwoTowers(tf.keras.layers.Layer):
    """A tower for queries and one for documents, over one encoder or two."""

    def __init__(self, query_tower: Tower, document_tower: Tower):
        """Puts the towers together; where they share an encoder its weights count once."""
        super().__init__(name="two_towers")
        self.query_tower = query_tower
        self.document_tower = document_tower

    def list_objects(self) -> dict[str, Any]:
        """Returns what checkpoints keep, by name; `encoder` and `head` are the documents'."""
        objects = {
            "encoder": self.document_tower.encoder,
            "head": self.document_tower.head,
            "query_head": self.query_tower.head,
        }
        if self.query_tower.encoder is not self.document_tower.encoder:
            objects["query_encoder"] = self.query_tower.encoder
        return objects

    def call(
        self,
        query_tokens: tf.RaggedTensor,
        tokens: tf.RaggedTensor,
        list_of_row: tf.Tensor,
        seed: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Returns the score of each document for its list's query, [N] float32.

        Args:
            query_tokens: [B, (T)] int32.
            tokens: [N, (T)] int32, of documents.
            list_of_row: [N] int64, the list of each document.
            seed: [2] int32, from which dropout masks are drawn; needed in training.
            training: whether to drop.
        """
        seed = resolve_seed(seed, training)
        queries = self.query_tower(query_tokens, seed=tf.random.fold_in(seed, 1), training=training)  # [B, V]
        documents = self.document_tower(tokens, seed=tf.random.fold_in(seed, 0), training=training)  # [N, V]
        return tf.reduce_sum(tf.gather(queries, list_of_row) * documents, axis=1)


class StudentModel(tf.keras.Model):
    """Rows of queries and documents to scores in lists."""

    def __init__(self, towers: TwoTowers):
        """Puts the scores of `towers` into the slots of lists."""
        super().__init__(name="student")
        self.towers = towers

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Returns scores [B, L] float32, 0 where `mask` is false.

        Args:
            inputs: `query_tokens` [B, (T)] and `tokens` [N, (T)] int32, a row of the latter for each true entry of
                `mask` [B, L], list by list; `seed` [2] int32.
            training: whether to drop.
        """
        mask = inputs["mask"]
        slots = tf.where(mask)
        rows = (inputs["query_tokens"], inputs["tokens"], slots[:, 0])
        scores = self.towers(*rows, seed=inputs["seed"], training=training)
        return tf.scatter_nd(slots, scores, tf.shape(mask, tf.int64))
