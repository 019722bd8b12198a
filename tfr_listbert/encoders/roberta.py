"""RoBERTa (Liu et al. 2019, arXiv 1907.11692) from Model Garden's transformer block."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import tensorflow as tf
from official.modeling import tf_utils

from tfr_listbert.encoders.block import INITIALIZER_DEVIATION, LAYER_NORM_EPSILON, Block, Layout
from tfr_listbert.encoders.dropout import drop, resolve_seed
from tfr_listbert.encoders.kernels import normalize
from tfr_listbert.encoders.match_marks import LetterOverlap, mark_matches
from tfr_listbert.encoders.shapes import RobertaShape
from tfr_listbert.registry import ENCODERS


@ENCODERS.register("roberta")
class RobertaEncoder(tf.keras.layers.Layer):
    """RoBERTa: learned positions counted from `pad_id + 1`, one token type, post-norm, epsilon 1e-5, exact GELU.

    Beyond RoBERTa it can mark matches: to a query's token that the document has, too, and to a document's token that
    the query has, a learned vector each is added, as MarkedBERT (Boualili et al., SIGIR 2020) marks them by tokens of
    their own. An encoder learns to compare words only from much text; with the marks a small shop's has it at once.
    `mark_letters` does so for parts of words.
    """

    def __init__(
        self,
        vocabulary_size: int,
        shape: RobertaShape,
        dropout_rate: float = 0.1,
        attention_dropout_rate: float = 0.1,
        pad_id: int = 1,
        eos_id: int = 2,
        match_marks: bool = False,
    ):
        """Makes the encoder and its weights.

        Args:
            vocabulary_size: rows of the token embedding.
            shape: layers, heads and widths.
            dropout_rate: of embeddings and of each sublayer's output.
            attention_dropout_rate: of attention probabilities.
            pad_id: id of padding; positions of real tokens start one above it, as in RoBERTa.
            eos_id: id of `</s>`, which parts query and document; read for marks only.
            match_marks: whether tokens that query and document share are marked.
        """
        super().__init__(name="encoder")
        self.shape = shape
        self.vocabulary_size = vocabulary_size
        self.pad_id = pad_id
        self._eos_id = eos_id
        self._match_marks = match_marks
        self._letter_overlap = None
        self.blocks = [
            Block(shape, dropout_rate, attention_dropout_rate, f"layer_{index}") for index in range(shape.layers)
        ]
        self.embedding_norm = tf.keras.layers.LayerNormalization(
            epsilon=LAYER_NORM_EPSILON, dtype=tf.float32, name="embedding_norm"
        )
        self._dropout_rate = dropout_rate
        self._trace = functools.cache(self._build_trace)  # in no attribute of its own, so that no export saves it
        self._build_weights()

    def _build_weights(self) -> None:
        """Makes all weights at once, so that a checkpoint can be read before the first call."""
        width = self.shape.width
        initializer = tf.keras.initializers.TruncatedNormal(stddev=INITIALIZER_DEVIATION)

        def add_table(name: str, rows: int) -> tf.Variable:
            return self.add_weight(name, (rows, width), initializer=tf_utils.clone_initializer(initializer))

        self.token_embedding = add_table("token_embedding", self.vocabulary_size)
        self.position_embedding = add_table("position_embedding", self.shape.positions + self.pad_id + 1)
        self.type_embedding = add_table("type_embedding", 1)
        # At 0 and there without marks, too: so an encoder with marks starts from any other, and as RoBERTa
        self.match_embedding = self.add_weight(
            "match_embedding", (2, width), initializer="zeros", trainable=self._match_marks
        )
        self.embedding_norm.build((None, None, width))

    def mark_letters(self, pieces: Sequence[str]) -> None:
        """Marks how much of each token the other part has, too; before the first call.

        What `LetterOverlap` measures of a token, times a learned vector each, is added to it. These are 0 at first, or
        what the checkpoint holds from which the encoder was restored.

        Args:
            pieces: the letters of each id.
        """
        self._letter_overlap = LetterOverlap(pieces, self._eos_id, self.pad_id)
        shape = (len(LetterOverlap.NAMES), self.shape.width)
        self.letter_embedding = self.add_weight("letter_embedding", shape, initializer="zeros")

    def call(
        self,
        tokens: tf.Tensor,
        seed: tf.Tensor | None = None,
        training: bool | None = None,
        places: tf.Tensor | None = None,
        few_rows: bool = False,
    ) -> tf.Tensor:
        """Returns the last layer's vectors.

        Args:
            tokens: [N, T] int32, padded with `pad_id`; T at most `shape.positions`.
            seed: [2] int32, from which all dropout masks are drawn; needed in training.
            training: whether to drop.
            places: [N, K] int32; compute the last layer for the tokens at these places of each row alone.
            few_rows: whether there are few rows, e.g. the query of a request: the same in nearly half the time. Of 64
                queries at once it takes a tenth more.

        Returns:
            [N, T, H]; [N, K, H] for places; float32, or the policy's compute type.
        """
        seed = resolve_seed(seed, training)
        chosen = () if places is None else (places,)
        vectors = self._trace(1, bool(training), False, len(chosen), few_rows)([tokens], seed, *chosen)
        return tf.reshape(vectors, [*tf.unstack(tf.shape((tokens, *chosen)[-1])), self.shape.width])

    def encode_first_tokens(
        self,
        tokens: Sequence[tf.Tensor],
        seed: tf.Tensor | None = None,
        training: bool | None = None,
        few_rows: bool = False,
    ) -> tf.Tensor:
        """Returns the first token's vector of rows of several widths, [N, H]: those of the first width come first.

        All tokens go through each product together, which on two cores is 8 % faster than width by width.

        Args:
            tokens: for each width [N, T] int32, padded with `pad_id`.
            seed: [2] int32, from which all dropout masks are drawn; needed in training.
            training: whether to drop.
            few_rows: as of `call`.
        """
        trace = self._trace(len(tokens), bool(training), True, 0, few_rows)
        return trace(list(tokens), resolve_seed(seed, training))

    def _build_trace(
        self, widths: int, training: bool, first_token_only: bool, places: int, few_rows: bool
    ) -> Callable[..., tf.Tensor]:
        """Returns the encoder's graph for one way to call it."""
        options = {"training": training, "first_token_only": first_token_only, "few_rows": few_rows}
        matrix = tf.TensorSpec([None, None], tf.int32)
        signature = [[matrix] * widths, tf.TensorSpec([2], tf.int32), *[matrix] * places]
        # Inside another function it stays a function: TensorFlow makes one op of `dense_gelu` there alone
        attributes = None if training or few_rows else {"_noinline": True}
        call = functools.partial(self._encode, **options)
        return tf.function(call, input_signature=signature, autograph=False, experimental_attributes=attributes)

    def _encode(
        self,
        tokens: list[tf.Tensor],
        seed: tf.Tensor,
        places: tf.Tensor | None = None,
        *,
        training: bool,
        first_token_only: bool,
        few_rows: bool,
    ) -> tf.Tensor:
        """Returns vectors [Q, H] of all tokens, or of those asked for, width after width."""
        layout = self._lay_out(tokens, few_rows)
        hidden = self._embed(tokens, seed, training)  # [M, H]
        for index, block in enumerate(self.blocks):
            queries, chosen = layout, None
            if index + 1 == len(self.blocks):
                queries, chosen = self._choose_queries(layout, places, first_token_only)
            hidden = block(hidden, layout, queries, tf.random.fold_in(seed, index + 1), chosen, training=training)
        return tf.cast(hidden, self.compute_dtype)

    def _lay_out(self, tokens: list[tf.Tensor], few_rows: bool) -> Layout:
        nothing = tf.as_dtype(self.compute_dtype).min / 2
        biases = [tf.cast(one == self.pad_id, tf.float32)[:, tf.newaxis, tf.newaxis, :] * nothing for one in tokens]
        return Layout([tuple(tf.unstack(tf.shape(one))) for one in tokens], biases, few_rows)

    def _choose_queries(
        self, layout: Layout, places: tf.Tensor | None, first_token_only: bool
    ) -> tuple[Layout, tf.Tensor | None]:
        """Returns for which tokens the last layer is computed, and their places in the matrix; None for all."""
        if places is not None:
            (starts,) = layout.starts()
            sizes = [tuple(tf.unstack(tf.shape(places)))]
            return dataclasses.replace(layout, sizes=sizes), tf.reshape(starts[:, tf.newaxis] + places, [-1])
        if first_token_only:
            sizes = [(rows, tf.constant(1)) for rows, _ in layout.sizes]
            return dataclasses.replace(layout, sizes=sizes), tf.concat(layout.starts(), axis=0)
        return layout, None

    def _embed(self, tokens: list[tf.Tensor], seed: tf.Tensor, training: bool) -> tf.Tensor:
        ids = tf.concat([tf.reshape(one, [-1]) for one in tokens], axis=0)  # [M]
        positions = tf.concat([tf.reshape(self._count_positions(one), [-1]) for one in tokens], axis=0)
        hidden = tf.gather(self.token_embedding, ids) + tf.gather(self.position_embedding, positions)
        if self._match_marks:
            marks = tf.concat([mark_matches(one, self._eos_id, self.pad_id) for one in tokens], axis=0)  # [M, 2]
            hidden += tf.matmul(tf.cast(marks, hidden.dtype), self.match_embedding)
        if self._letter_overlap is not None:
            shares = tf.concat([self._letter_overlap.measure(one) for one in tokens], axis=0)  # [M, 4]
            hidden += tf.matmul(tf.cast(shares, hidden.dtype), self.letter_embedding)
        hidden = tf.cast(hidden + self.type_embedding[0], tf.float32)
        norm = self.embedding_norm
        gamma, beta = tf.convert_to_tensor(norm.gamma), tf.convert_to_tensor(norm.beta)
        hidden = normalize(hidden, gamma, beta, LAYER_NORM_EPSILON, training)
        return drop(hidden, self._dropout_rate, tf.random.fold_in(seed, 0), 0, training)

    def _count_positions(self, tokens: tf.Tensor) -> tf.Tensor:
        counts = tf.cast(tokens != self.pad_id, tf.int32)
        return tf.cumsum(counts, axis=1) * counts + self.pad_id  # padding keeps pad_id, as in RoBERTa
