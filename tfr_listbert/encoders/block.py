"""One layer of the encoder, for rows of several widths in one matrix."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import tensorflow as tf
from official.nlp.modeling.layers import TransformerEncoderBlock

from tfr_listbert.encoders.dropout import drop
from tfr_listbert.encoders.kernels import dense, dense_gelu, half_gelu, normalize, permute
from tfr_listbert.encoders.shapes import RobertaShape

LAYER_NORM_EPSILON = 1e-5
"""RoBERTa's; Model Garden's BERT encoders fix 1e-12."""

INITIALIZER_DEVIATION = 0.02


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """How rows of several widths lie in one matrix [M, H]: width after width, row after row.

    Attributes:
        sizes: for each width, rows N and tokens of a row T, [] int32.
        biases: for each width [N, 1, 1, T], added to the logits of attention to these tokens.
        few_rows: whether attention is computed in the way that is fast for a query or a few, and slow for many rows.
    """

    sizes: list[tuple[tf.Tensor, tf.Tensor]]
    biases: list[tf.Tensor]
    few_rows: bool

    def split(self, matrix: tf.Tensor) -> list[tf.Tensor]:
        """Returns the part [N·T, ·] of each width."""
        return tf.split(matrix, tf.stack([rows * tokens for rows, tokens in self.sizes]), num=len(self.sizes))

    def starts(self) -> list[tf.Tensor]:
        """Returns for each width where its rows begin in the matrix, [N] int32."""
        first, starts = 0, []
        for rows, tokens in self.sizes:
            starts.append(first + tf.range(rows) * tokens)
            first += rows * tokens
        return starts


class Block(TransformerEncoderBlock):
    """Model Garden's block: its weights, computed in fewer passes over memory, and with repeatable dropout.

    Rows lie one under the other in matrices [N·T, H]; query, key and value are one product. The dropout of the
    attention's output takes RoBERTa's rate (that of every sublayer), not the block's own choice, the rate of the
    attention probabilities.
    """

    def __init__(self, shape: RobertaShape, dropout_rate: float, attention_dropout_rate: float, name: str):
        """Makes the layer and its weights.

        Args:
            shape: of the encoder.
            dropout_rate: of each sublayer's output.
            attention_dropout_rate: of attention probabilities.
            name: of the layer.
        """
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
        self._autocast = False  # what is added up stays in float32
        with tf.name_scope(self._name_scope()):
            self.build(tf.TensorShape((1, 1, shape.width)))
            super().call(tf.zeros((1, 1, shape.width), self.compute_dtype))  # its layers make their weights in it
        self._shape = shape

    def call(
        self,
        hidden: tf.Tensor,
        keys: Layout,
        queries: Layout,
        seed: tf.Tensor,
        chosen: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Returns the block's output for all tokens, or for those chosen.

        Args:
            hidden: [M, H], vectors of all tokens.
            keys: where the tokens of each row lie in `hidden`.
            queries: where those lie for which the output is computed; `keys` for all.
            chosen: [Q] int32, their places in `hidden`; None for all.
            training: whether to drop, and whether a gradient will be asked for.

        Returns:
            [Q, H] float32.
        """
        source = hidden if chosen is None else tf.gather(hidden, chosen)
        rate = self._output_dropout_rate
        attended = self._attend(hidden, keys, source, queries, seed, training)
        attended = tf.cast(drop(attended, rate, seed, 0, training), tf.float32)
        middle = self._normalize(source + attended, self._attention_layer_norm, training)
        update = tf.cast(drop(self._feed_forward(middle, training), rate, seed, 1, training), tf.float32)
        return self._normalize(middle + update, self._output_layer_norm, training)

    def _attend(
        self, hidden: tf.Tensor, keys: Layout, source: tf.Tensor, queries: Layout, seed: tf.Tensor, training: bool
    ) -> tf.Tensor:
        projections = self._read_projections()
        if source is hidden:
            projected = self._project(hidden, keys, projections, training)
        else:
            own = self._project(source, queries, projections[:1], training)
            others = self._project(hidden, keys, projections[1:], training)
            projected = [[*one, *other] for one, other in zip(own, others, strict=True)]
        mixed = [self._mix(tensors, keys, queries, index, seed, training) for index, tensors in enumerate(projected)]
        output, width = self._attention_layer._output_dense, self._shape.width
        kernel = tf.reshape(output.kernel, [width, width])
        return dense(tf.concat(mixed, axis=0), kernel, tf.convert_to_tensor(output.bias), training)

    def _mix(
        self, projected: Sequence[tf.Tensor], keys: Layout, queries: Layout, index: int, seed: tf.Tensor, training: bool
    ) -> tf.Tensor:
        """Returns [N·K, H], the attention of the rows of one width.

        Args:
            projected: queries [N, heads, K, size], keys and values [N, heads, T, size].
            keys: as of `call`.
            queries: as of `call`.
            index: which width.
            training: whether to drop.
        """
        query, key, value = projected
        logits = tf.matmul(query, key, transpose_b=True)  # [N, heads, K, T]
        weights = tf.nn.softmax(logits + tf.cast(keys.biases[index], logits.dtype))
        weights = drop(weights, self._attention_dropout_rate, seed, 2, training, part=index)
        rows, tokens = queries.sizes[index]
        width, heads = self._shape.width, self._shape.heads
        mixed = permute(tf.matmul(weights, value), [rows, heads, tokens, width // heads], [0, 2, 1], keys.few_rows)
        return tf.cast(tf.reshape(mixed, [-1, width]), self.compute_dtype)

    def _read_projections(self) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Returns kernel [H, H] and bias [H] of query, key and value; the query's hold the factor of the logits."""
        layer, width = self._attention_layer, self._shape.width
        factor = (width // self._shape.heads) ** -0.5
        query, key, value = (
            (tf.reshape(part.kernel, [width, width]), tf.reshape(part.bias, [width]))
            for part in (layer._query_dense, layer._key_dense, layer._value_dense)
        )
        return [(query[0] * factor, query[1] * factor), key, value]

    def _project(
        self, inputs: tf.Tensor, layout: Layout, projections: Sequence[tuple[tf.Tensor, tf.Tensor]], training: bool
    ) -> list[list[tf.Tensor]]:
        """Returns for each width each projection of `inputs`, [N, heads, T, size], all of one product."""
        kernel, bias = (tf.concat(parts, axis=-1) for parts in zip(*projections, strict=True))
        projected = dense(tf.cast(inputs, self.compute_dtype), kernel, bias, training)
        if layout.few_rows:
            # oneDNN's products of matrices as small as a query's cost some 60 us each, and its softmax 40, whatever
            # they hold; in float64 TensorFlow computes them itself, in 5. A query of `mini` then takes 1.4 ms for 2.5.
            projected = tf.cast(projected, tf.float64)
        # Slices of the first axis share memory; others would cost a pass, and their gradient as many as there are parts
        parts, heads, size = len(projections), self._shape.heads, self._shape.width // self._shape.heads
        return [
            tf.unstack(permute(own, [rows, tokens, parts, heads, size], [2, 0, 3, 1], layout.few_rows), num=parts)
            for own, (rows, tokens) in zip(layout.split(projected), layout.sizes, strict=True)
        ]

    def _feed_forward(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        inner, outer = self._intermediate_dense, self._output_dense
        matrix, bias = tf.cast(inputs, self.compute_dtype), tf.convert_to_tensor(outer.bias)
        if not training:
            gated = dense_gelu(matrix, tf.convert_to_tensor(inner.kernel), tf.convert_to_tensor(inner.bias))
            return dense(gated, tf.convert_to_tensor(outer.kernel), bias, training)
        factor = math.sqrt(0.5)
        gated = half_gelu(dense(matrix, inner.kernel * factor, inner.bias * factor, training))
        return dense(gated, outer.kernel * factor, bias, training)

    def _normalize(self, inputs: tf.Tensor, norm: tf.keras.layers.LayerNormalization, training: bool) -> tf.Tensor:
        gamma, beta = tf.convert_to_tensor(norm.gamma), tf.convert_to_tensor(norm.beta)
        return normalize(inputs, gamma, beta, LAYER_NORM_EPSILON, training)
