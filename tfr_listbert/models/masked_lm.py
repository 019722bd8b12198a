"""RoBERTa's masked language model: an encoder, and a head over it."""

from __future__ import annotations

import tensorflow as tf

from tfr_listbert.encoders.block import INITIALIZER_DEVIATION, LAYER_NORM_EPSILON


class MLMHead(tf.keras.layers.Layer):
    """Vectors to logits over the vocabulary: dense, exact GELU, layer norm, the token embedding again, and a bias.

    RoBERTa's (Liu et al. 2019, arXiv 1907.11692); its last product is tied to the encoder's embedding table, which is
    therefore an argument and not a weight of the head.
    """

    def __init__(self, vocabulary_size: int, width: int):
        """Makes the head and its weights.

        Args:
            vocabulary_size: V, rows of the token embedding.
            width: H, size of a token's vector.
        """
        super().__init__(name="mlm_head")
        initializer = tf.keras.initializers.TruncatedNormal(stddev=INITIALIZER_DEVIATION)
        self.dense = tf.keras.layers.Dense(width, kernel_initializer=initializer, name="dense")
        self.norm = tf.keras.layers.LayerNormalization(epsilon=LAYER_NORM_EPSILON, dtype=tf.float32, name="norm")
        self.dense.build((None, width))
        self.norm.build((None, width))
        self.bias = self.add_weight(
            "bias", (vocabulary_size,), dtype=tf.float32, initializer="zeros", experimental_autocast=False
        )

    def call(self, vectors: tf.Tensor, token_embedding: tf.Tensor) -> tf.Tensor:
        """Returns logits [M, V] float32.

        Args:
            vectors: [M, H], the encoder's vectors at the masked positions alone.
            token_embedding: [V, H], the encoder's table.
        """
        hidden = tf.keras.activations.gelu(self.dense(vectors), approximate=False)
        hidden = tf.cast(self.norm(hidden), self.compute_dtype)
        logits = tf.matmul(hidden, tf.cast(token_embedding, self.compute_dtype), transpose_b=True)  # [M, V]
        return tf.cast(logits, tf.float32) + self.bias


class MaskedLM(tf.keras.Model):
    """Token rows with masks in them to logits of the masked tokens alone."""

    def __init__(self, encoder: tf.keras.layers.Layer, mlm_head: MLMHead):
        """Puts `mlm_head` over `encoder`, a `RobertaEncoder`."""
        super().__init__(name="masked_lm")
        self.encoder = encoder
        self.mlm_head = mlm_head

    def call(
        self,
        tokens: tf.Tensor,
        is_masked: tf.Tensor,
        seed: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Returns logits [M, V] float32 of the M tokens to predict, row by row.

        Args:
            tokens: [N, T] int32, as `TokenMasker` shows them.
            is_masked: [N, T] bool, which of them are to predict.
            seed: [2] int32, from which dropout masks are drawn; needed in training.
            training: whether to drop.
        """
        masked = tf.cast(is_masked, tf.int32)
        most = tf.reduce_max(tf.concat([[0], tf.reduce_sum(masked, axis=1)], axis=0))  # [], K
        is_taken, places = tf.math.top_k(masked, most)  # [N, K], masked tokens first and in their order
        vectors = self.encoder(tokens, seed=seed, training=training, places=places)  # [N, K, H]
        return self.mlm_head(tf.boolean_mask(vectors, is_taken > 0), self.encoder.token_embedding)
