"""ListBERT's ranker: each query-document row through the encoder, its first token's vector to a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_ranking as tfr

from tfr_listbert.encoders.block import INITIALIZER_DEVIATION
from tfr_listbert.encoders.dropout import drop, resolve_seed
from tfr_listbert.models.row_encoder import encode_padded, encode_rows, fold_head_seed

LARGEST_DEVIATION = 10.0
"""Normalized features are cut here, so that a price with three zeros too many cannot outweigh all text."""


class FeatureStatistics(tf.keras.layers.Layer):
    """Numeric features made ready for the head: normalized, what is missing marked; the statistics are weights."""

    def __init__(self, count: int):
        """Makes statistics for `count` features: mean 0 and deviation 1 until `set_statistics`."""
        super().__init__(name="feature_statistics", dtype=tf.float32)
        self.means = self.add_weight("means", [count], initializer="zeros", trainable=False)
        self.deviations = self.add_weight("deviations", [count], initializer="ones", trainable=False)

    def set_statistics(self, means: Sequence[float], deviations: Sequence[float]) -> None:
        """Sets mean and standard deviation of each feature, as measured on the training split."""
        self.means.assign(means)
        self.deviations.assign(deviations)

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Returns [N, 2F] of `features` [N, F]: normalized values, cut, NaN as the mean; then 1 where it was NaN."""
        is_missing = tf.math.is_nan(features)
        normalized = tf.where(is_missing, 0.0, (features - self.means) / self.deviations)
        bounded = tf.clip_by_value(normalized, -LARGEST_DEVIATION, LARGEST_DEVIATION)
        return tf.concat([bounded, tf.cast(is_missing, bounded.dtype)], axis=1)


class RowScorer(tf.keras.layers.Layer):
    """Scores token rows, each as if it were alone; training and every export score through this layer.

    Rows are sorted into widths and padded to them: no row is computed for an empty slot of a list, and little for
    padding.
    """

    def __init__(
        self,
        encoder: tf.keras.layers.Layer,
        widths: Sequence[int],
        feature_count: int = 0,
        dropout_rate: float = 0.1,
        max_tokens: int | None = None,
    ):
        """Makes the scorer.

        Args:
            encoder: [N, T] tokens to [N, H] vectors of the first token, e.g. `RobertaEncoder`.
            widths: ascending; the last one is the longest row that can come.
            feature_count: F, number of numeric features that join the first token's vector.
            dropout_rate: of the first token's vector.
            max_tokens: most tokens of which activations are in memory at a time; see `encode_rows`.
        """
        super().__init__(name="row_scorer")
        self.encoder = encoder
        self.feature_statistics = FeatureStatistics(feature_count)
        self.head = tf.keras.layers.Dense(
            1,
            kernel_initializer=tf.keras.initializers.TruncatedNormal(stddev=INITIALIZER_DEVIATION),
            dtype=tf.float32,
            name="head",
        )
        self.head.build((None, encoder.shape.width + 2 * feature_count))
        self.feature_count = feature_count
        self._widths = tuple(widths)
        self._max_tokens = max_tokens
        self._dropout_rate = dropout_rate

    def call(
        self,
        tokens: tf.RaggedTensor,
        features: tf.Tensor,
        seed: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Returns the score of each row.

        Args:
            tokens: [N, (T)] int32, rows of `RowPacker.pack`.
            features: [N, F] float32; NaN is "missing".
            seed: [2] int32, from which dropout masks are drawn; needed in training.
            training: whether to drop.

        Returns:
            [N] float32.
        """
        seed = resolve_seed(seed, training)
        vectors = tf.cast(self._encode(tokens, seed, training), tf.float32)  # [N, H]
        head_seed = fold_head_seed(self.encoder, self._widths, seed)
        return self._score_vectors(drop(vectors, self._dropout_rate, head_seed, 0, training), features)

    def score_padded(self, tokens: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """Returns the score of each row of `tokens` [N, T] int32, padded and computed so; nothing is dropped."""
        vectors = encode_padded(self.encoder, tokens, tf.zeros([2], tf.int32), training=False)
        return self._score_vectors(tf.cast(vectors, tf.float32), features)

    def _score_vectors(self, vectors: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        # A vector after LayerNorm has the norm sqrt(H). Scaled to it, a feature is learnt as fast as the vector; with a
        # scale of 1, the weight of a BM25 score was at 0.2 after 336 steps and the ranker below BM25.
        scaled = self.feature_statistics(features) * tf.sqrt(float(self.encoder.shape.width))
        return self.head(tf.concat([vectors, scaled], axis=1))[:, 0]

    def _encode(self, tokens: tf.RaggedTensor, seed: tf.Tensor, training: bool | None) -> tf.Tensor:
        return encode_rows(self.encoder, tokens, self._widths, seed, training, self._max_tokens)

    def list_objects(self) -> dict[str, Any]:
        """Returns what checkpoints keep, by name."""
        return {"encoder": self.encoder, "head": self.head, "feature_statistics": self.feature_statistics}


class _SlotScorer(tfr.keras.model.Scorer):
    """Puts the scores of rows into the slots of lists."""

    def __init__(self, row_scorer: RowScorer):
        self._row_scorer = row_scorer

    @tf.autograph.experimental.do_not_convert
    def __call__(
        self, context_features: dict[str, tf.Tensor], example_features: dict[str, tf.Tensor], mask: tf.Tensor
    ) -> tf.Tensor:
        scores = self._row_scorer(
            context_features["tokens"], features=context_features["features"], seed=context_features["seed"]
        )
        return tf.scatter_nd(tf.where(mask), scores, tf.shape(mask, tf.int64))


def build_ranker(row_scorer: RowScorer) -> tf.keras.Model:
    """Returns a TF-Ranking scoring model over `row_scorer`.

    Its inputs are `tokens` [N, (T)] int32 and `features` [N, F] float32, one row for each true entry of `mask` [B, L],
    list by list, and `seed` [2] int32; its output is scores [B, L] float32, 0 where `mask` is false.
    """
    specs = {
        "tokens": tf.RaggedTensorSpec([None, None], tf.int32, ragged_rank=1),
        "features": tf.TensorSpec([None, row_scorer.feature_count], tf.float32),
        "seed": tf.TensorSpec([None], tf.int32),
    }
    return tfr.keras.model.ModelBuilder(
        input_creator=tfr.keras.model.TypeSpecInputCreator(specs, context_feature_names=list(specs)),
        preprocessor=lambda context, example, mask: (context, example),
        scorer=_SlotScorer(row_scorer),
        mask_feature_name="mask",
        name="ranker",
    ).build()
