"""RoBERTa (Liu et al. 2019, arXiv 1907.11692) from Model Garden's transformer block."""

from __future__ import annotations

import dataclasses
import functools

import tensorflow as tf
from official.modeling import tf_utils
from official.nlp.modeling.layers import TransformerEncoderBlock

from tfr_listbert.config import EncoderConfig
from tfr_listbert.encoders.dropout import DropoutSeed, StatelessDropout
from tfr_listbert.registry import ENCODERS, suggest
from tfr_listbert.schema import InputError

LAYER_NORM_EPSILON = 1e-5
"""RoBERTa's; Model Garden's BERT encoders fix 1e-12."""

INITIALIZER_DEVIATION = 0.02


@dataclasses.dataclass(frozen=True)
class RobertaShape:
    """Numbers that fix the encoder's weights.

    Attributes:
        layers: transformer blocks.
        heads: attention heads per block; divides `width`.
        width: H, size of a token's vector.
        inner_width: size of the feed-forward layer.
        positions: longest row in tokens.
    """

    layers: int
    heads: int
    width: int
    inner_width: int
    positions: int


SIZES = {
    "tiny": RobertaShape(layers=2, heads=2, width=128, inner_width=512, positions=512),
    "mini": RobertaShape(layers=4, heads=4, width=256, inner_width=1024, positions=512),
    "listbert": RobertaShape(layers=6, heads=12, width=768, inner_width=3072, positions=512),
    "base": RobertaShape(layers=12, heads=12, width=768, inner_width=3072, positions=512),
}
"""Sizes by name; `listbert` is the paper's, `base` is RoBERTa's smaller published one."""

DEFAULT_SIZE = "mini"


def resolve_shape(config: EncoderConfig) -> RobertaShape:
    """Returns the shape of the size that `config` names, or `DEFAULT_SIZE`, with the numbers that it sets put in.

    Raises:
        InputError: if there is no such size, or the heads do not divide the width.
    """
    size = config.size or DEFAULT_SIZE
    if size not in SIZES:
        raise InputError(f"`encoder.size` names no size: got {size!r}. {suggest(size, list(SIZES))}")
    numbers = {field.name: getattr(config, field.name) for field in dataclasses.fields(RobertaShape)}
    shape = dataclasses.replace(SIZES[size], **{k: v for k, v in numbers.items() if v is not None})
    if shape.width % shape.heads:
        raise InputError(f"`encoder.heads` must divide `encoder.width`, got {shape.heads} and {shape.width}.")
    return shape


class _Block(TransformerEncoderBlock):
    """Model Garden's block with its three dropout layers replaced by repeatable ones.

    The dropout of the attention's output takes RoBERTa's rate (that of every sublayer), not the block's own choice, the
    rate of the attention probabilities.
    """

    def __init__(self, shape: RobertaShape, dropout_rate: float, attention_dropout_rate: float, name: str):
        super().__init__(
            num_attention_heads=shape.heads,
            inner_dim=shape.inner_width,
            inner_activation=functools.partial(tf.keras.activations.gelu, approximate=False),
            norm_epsilon=LAYER_NORM_EPSILON,
            kernel_initializer=tf.keras.initializers.TruncatedNormal(stddev=INITIALIZER_DEVIATION),
            output_dropout=dropout_rate,
            attention_dropout=attention_dropout_rate,
            name=name,
        )
        self.seed = DropoutSeed()
        self(tf.zeros((1, 1, shape.width)))  # the attention layer makes its weights and its dropout in its first call
        self._attention_dropout = StatelessDropout(self._output_dropout_rate, self.seed, 0)
        self._output_dropout = StatelessDropout(self._output_dropout_rate, self.seed, 1)
        self._attention_layer._dropout_layer = StatelessDropout(self._attention_dropout_rate, self.seed, 2)


class _Traces:
    """The encoder's graph, traced once for all row widths; kept out of the layer so that no export saves it.

    Tracing `mini` for five widths takes 13 s when each width is traced on its own.
    """

    def __init__(self, function):
        signature = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([2], tf.int32)]

        @functools.cache
        def trace(training: bool, first_token_only: bool, has_places: bool):
            call = functools.partial(function, training=training, first_token_only=first_token_only)
            places = [tf.TensorSpec([None, None], tf.int32)] if has_places else []
            return tf.function(call, input_signature=[*signature, *places])

        self.get = trace


@ENCODERS.register("roberta")
class RobertaEncoder(tf.keras.layers.Layer):
    """RoBERTa: learned positions counted from `pad_id + 1`, one token type, post-norm, epsilon 1e-5, exact GELU."""

    def __init__(
        self,
        vocabulary_size: int,
        shape: RobertaShape,
        dropout_rate: float = 0.1,
        attention_dropout_rate: float = 0.1,
        pad_id: int = 1,
        name: str = "encoder",
    ):
        """Makes the encoder and its weights.

        Args:
            vocabulary_size: rows of the token embedding.
            shape: layers, heads and widths.
            dropout_rate: of embeddings and of each sublayer's output.
            attention_dropout_rate: of attention probabilities.
            pad_id: id of padding; positions of real tokens start one above it, as in RoBERTa.
            name: name of the layer.
        """
        super().__init__(name=name)
        self.shape = shape
        self.vocabulary_size = vocabulary_size
        self.pad_id = pad_id
        self.blocks = [
            _Block(shape, dropout_rate, attention_dropout_rate, f"layer_{index}") for index in range(shape.layers)
        ]
        self.embedding_norm = tf.keras.layers.LayerNormalization(
            epsilon=LAYER_NORM_EPSILON, dtype=tf.float32, name="embedding_norm"
        )
        self._embedding_seed = DropoutSeed()
        self._embedding_dropout = StatelessDropout(dropout_rate, self._embedding_seed, 0)
        self._traces = _Traces(self._encode)
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
        self.embedding_norm.build((None, None, width))

    def call(
        self,
        tokens: tf.Tensor,
        seed: tf.Tensor | None = None,
        training: bool | None = None,
        first_token_only: bool = False,
        places: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the last layer's vectors.

        Args:
            tokens: [N, T] int32, padded with `pad_id`; T at most `shape.positions`.
            seed: [2] int32, from which all dropout masks are drawn; needed in training.
            training: whether to drop.
            first_token_only: compute the last layer for each row's first token alone.
            places: [N, K] int32; compute the last layer for the tokens at these places of each row alone.

        Returns:
            [N, T, H]; [N, H] for the first token only; [N, K, H] for places; float32, or the policy's compute type.
        """
        if training and seed is None:
            raise ValueError("Training needs `seed` [2] int32, from which dropout masks are drawn.")
        seed = tf.zeros([2], tf.int32) if seed is None else seed
        trace = self._traces.get(bool(training), first_token_only, places is not None)
        return trace(tokens, seed) if places is None else trace(tokens, seed, places)

    def _encode(
        self,
        tokens: tf.Tensor,
        seed: tf.Tensor,
        places: tf.Tensor | None = None,
        *,
        training: bool,
        first_token_only: bool,
    ) -> tf.Tensor:
        is_real = tokens != self.pad_id  # [N, T]
        hidden = self._embed(tokens, is_real, seed, training)  # [N, T, H]
        attention_mask = is_real[:, tf.newaxis, :]  # [N, 1, T]
        for index, block in enumerate(self.blocks):
            block.seed.value = tf.random.fold_in(seed, index + 1)
            is_last = index + 1 == len(self.blocks)
            output_range = 1 if first_token_only and is_last else None
            query = [tf.gather(hidden, places, batch_dims=1)] if places is not None and is_last else []
            hidden = block([*query, hidden, attention_mask], output_range=output_range, training=training)
        return hidden[:, 0] if first_token_only else hidden

    def _embed(self, tokens: tf.Tensor, is_real: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
        counts = tf.cast(is_real, tf.int32)
        positions = tf.cumsum(counts, axis=1) * counts + self.pad_id  # padding keeps pad_id, as in RoBERTa
        hidden = tf.gather(self.token_embedding, tokens) + tf.gather(self.position_embedding, positions)
        self._embedding_seed.value = tf.random.fold_in(seed, 0)
        return self._embedding_dropout(self.embedding_norm(hidden + self.type_embedding[0]), training=training)
