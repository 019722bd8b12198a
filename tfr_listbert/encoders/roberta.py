"""RoBERTa (Liu et al. 2019, arXiv 1907.11692) from Model Garden's transformer block."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import tensorflow as tf
from official.modeling import tf_utils
from official.nlp.modeling.layers import TransformerEncoderBlock

from tfr_listbert.config import EncoderConfig
from tfr_listbert.encoders.dropout import DropoutSeed, StatelessDropout
from tfr_listbert.encoders.kernels import dense, dense_gelu, half_gelu, normalize, permute
from tfr_listbert.encoders.match_marks import LetterOverlap, mark_matches
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


@dataclasses.dataclass(frozen=True, eq=False)
class _Layout:
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


class _Block(TransformerEncoderBlock):
    """Model Garden's block: its weights, computed in fewer passes over memory, and with repeatable dropout.

    Rows lie one under the other in matrices [N·T, H]; query, key and value are one product. The dropout of the
    attention's output takes RoBERTa's rate (that of every sublayer), not the block's own choice, the rate of the
    attention probabilities.
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
        self._autocast = False  # what is added up stays in float32
        with tf.name_scope(self._name_scope()):
            self.build(tf.TensorShape((1, 1, shape.width)))
            super().call(tf.zeros((1, 1, shape.width), self.compute_dtype))  # its layers make their weights in it
        self._shape = shape
        self._attention_dropout = StatelessDropout(self._output_dropout_rate, self.seed, 0)
        self._output_dropout = StatelessDropout(self._output_dropout_rate, self.seed, 1)
        self._attention_layer._dropout_layer = StatelessDropout(self._attention_dropout_rate, self.seed, 2)

    def call(
        self,
        hidden: tf.Tensor,
        keys: _Layout,
        queries: _Layout,
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
        attended = self._attend(hidden, keys, source, queries, training)
        attended = tf.cast(self._attention_dropout(attended, training=training), tf.float32)
        middle = self._normalize(source + attended, self._attention_layer_norm, training)
        update = tf.cast(self._output_dropout(self._feed_forward(middle, training), training=training), tf.float32)
        return self._normalize(middle + update, self._output_layer_norm, training)

    def _attend(
        self, hidden: tf.Tensor, keys: _Layout, source: tf.Tensor, queries: _Layout, training: bool
    ) -> tf.Tensor:
        projections = self._read_projections()
        if source is hidden:
            projected = self._project(hidden, keys, projections, training)
        else:
            own = self._project(source, queries, projections[:1], training)
            others = self._project(hidden, keys, projections[1:], training)
            projected = [[*one, *other] for one, other in zip(own, others, strict=True)]
        mixed = [self._mix(tensors, keys, queries, index, training) for index, tensors in enumerate(projected)]
        output, width = self._attention_layer._output_dense, self._shape.width
        kernel = tf.reshape(output.kernel, [width, width])
        return dense(tf.concat(mixed, axis=0), kernel, tf.convert_to_tensor(output.bias), training)

    def _mix(
        self, projected: Sequence[tf.Tensor], keys: _Layout, queries: _Layout, index: int, training: bool
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
        weights = self._attention_layer._dropout_layer(weights, training=training, part=index)
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
        self, inputs: tf.Tensor, layout: _Layout, projections: Sequence[tuple[tf.Tensor, tf.Tensor]], training: bool
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


class _Traces:
    """The encoder's graph, traced once for each way to call it; kept out of the layer so that no export saves it."""

    def __init__(self, function):
        matrix = tf.TensorSpec([None, None], tf.int32)

        @functools.cache
        def trace(
            widths: int, training: bool, first_token_only: bool, has_places: bool = False, few_rows: bool = False
        ):
            options = {"training": training, "first_token_only": first_token_only, "few_rows": few_rows}
            call = functools.partial(function, **options)
            signature = [[matrix] * widths, tf.TensorSpec([2], tf.int32), *[matrix] * has_places]
            # Inside another function it stays a function: TensorFlow makes one op of `dense_gelu` there alone
            attributes = None if training or few_rows else {"_noinline": True}
            return tf.function(call, input_signature=signature, autograph=False, experimental_attributes=attributes)

        self.get = trace


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
        name: str = "encoder",
    ):
        """Makes the encoder and its weights.

        Args:
            vocabulary_size: rows of the token embedding.
            shape: layers, heads and widths.
            dropout_rate: of embeddings and of each sublayer's output.
            attention_dropout_rate: of attention probabilities.
            pad_id: id of padding; positions of real tokens start one above it, as in RoBERTa.
            eos_id: id of `</s>`, which parts query and document; read for `match_marks` only.
            match_marks: whether tokens that query and document share are marked.
            name: name of the layer.
        """
        super().__init__(name=name)
        self.shape = shape
        self.vocabulary_size = vocabulary_size
        self.pad_id = pad_id
        self._eos_id = eos_id
        self._match_marks = match_marks
        self._letter_overlap = None
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
        first_token_only: bool = False,
        places: tf.Tensor | None = None,
        few_rows: bool = False,
    ) -> tf.Tensor:
        """Returns the last layer's vectors.

        Args:
            tokens: [N, T] int32, padded with `pad_id`; T at most `shape.positions`.
            seed: [2] int32, from which all dropout masks are drawn; needed in training.
            training: whether to drop.
            first_token_only: compute the last layer for each row's first token alone.
            places: [N, K] int32; compute the last layer for the tokens at these places of each row alone.
            few_rows: whether there are few rows, e.g. the query of a request: the same in nearly half the time. Of 64
                queries at once it takes a tenth more.

        Returns:
            [N, T, H]; [N, H] for the first token only; [N, K, H] for places; float32, or the policy's compute type.
        """
        seed = self._require_seed(seed, training)
        trace = self._traces.get(1, bool(training), first_token_only, places is not None, few_rows)
        vectors = trace([tokens], seed) if places is None else trace([tokens], seed, places)
        if first_token_only:
            return vectors
        return tf.reshape(vectors, [*tf.unstack(tf.shape(tokens if places is None else places)), self.shape.width])

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
        trace = self._traces.get(len(tokens), bool(training), True, few_rows=few_rows)
        return trace(list(tokens), self._require_seed(seed, training))

    def _require_seed(self, seed: tf.Tensor | None, training: bool | None) -> tf.Tensor:
        if training and seed is None:
            raise ValueError("Training needs `seed` [2] int32, from which dropout masks are drawn.")
        return tf.zeros([2], tf.int32) if seed is None else seed

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
            block.seed.value = tf.random.fold_in(seed, index + 1)
            queries, chosen = layout, None
            if index + 1 == len(self.blocks):
                queries, chosen = self._choose_queries(layout, places, first_token_only)
            hidden = block(hidden, layout, queries, chosen, training=training)
        return tf.cast(hidden, self.compute_dtype)

    def _lay_out(self, tokens: list[tf.Tensor], few_rows: bool) -> _Layout:
        nothing = tf.as_dtype(self.compute_dtype).min / 2
        biases = [tf.cast(one == self.pad_id, tf.float32)[:, tf.newaxis, tf.newaxis, :] * nothing for one in tokens]
        return _Layout([tuple(tf.unstack(tf.shape(one))) for one in tokens], biases, few_rows)

    def _choose_queries(
        self, layout: _Layout, places: tf.Tensor | None, first_token_only: bool
    ) -> tuple[_Layout, tf.Tensor | None]:
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
        self._embedding_seed.value = tf.random.fold_in(seed, 0)
        return self._embedding_dropout(normalize(hidden, gamma, beta, LAYER_NORM_EPSILON, training), training=training)

    def _count_positions(self, tokens: tf.Tensor) -> tf.Tensor:
        counts = tf.cast(tokens != self.pad_id, tf.int32)
        return tf.cumsum(counts, axis=1) * counts + self.pad_id  # padding keeps pad_id, as in RoBERTa
