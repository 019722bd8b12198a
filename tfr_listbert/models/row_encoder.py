"""Token rows of any number and length to vectors, sorted by width, and in as little memory as one likes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfr_listbert.models.chunks import sum_gradients


def encode_rows(
    encoder: tf.keras.layers.Layer,
    tokens: tf.RaggedTensor,
    widths: Sequence[int],
    seed: tf.Tensor,
    training: bool | None,
    max_tokens: int | None = None,
    pooling: str = "first_token",
) -> tf.Tensor:
    """Returns a vector of each row, [N, H].

    Args:
        encoder: tokens to vectors, as `RobertaEncoder`.
        tokens: [N, (T)] int32.
        widths: ascending; rows are sorted into them, the last is the longest row that can come.
        seed: [2] int32, from which dropout masks are drawn.
        training: whether to drop.
        max_tokens: most tokens, padding included, of which activations are in memory at a time. Rows are then encoded
            chunk after chunk and, for the gradient, once more with the same masks: the same result in a third more
            time. When None, all rows at once.
        pooling: the vector of the `first_token`, or the `mean` of those of the row's tokens.
    """
    encode = functools.partial(_encode_matrices, encoder, pooling=pooling)
    if max_tokens is None:
        return _encode_by_width(encoder, encode, tokens, widths, seed, training)
    plan = plan_chunks(tokens.row_lengths(), widths, max_tokens)
    return _encode_by_chunk(encoder, encode, tokens, plan, seed, training)


def encode_padded(
    encoder: tf.keras.layers.Layer,
    dense: tf.Tensor,
    seed: tf.Tensor,
    training: bool | None,
    pooling: str = "first_token",
    few_rows: bool = False,
) -> tf.Tensor:
    """Returns a vector of each row, [N, H], of padded rows `dense` [N, T] int32; the rest as of `encode_rows`.

    Args:
        few_rows: whether there are few rows, as of `RobertaEncoder`.
    """
    return _encode_matrices(encoder, [dense], seed, training, pooling, few_rows)


def fold_head_seed(encoder: tf.keras.layers.Layer, widths: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
    """Returns the seed [2] of what follows the encoder: not of its layers (0 to their number), nor of the widths."""
    return tf.random.fold_in(seed, max(len(widths), encoder.shape.layers + 1))


def _encode_matrices(
    encoder: tf.keras.layers.Layer,
    matrices: Sequence[tf.Tensor],
    seed: tf.Tensor,
    training: bool | None,
    pooling: str,
    few_rows: bool = False,
) -> tf.Tensor:
    """Returns a vector of each row, [N, H], of several `matrices` [N, T] int32, one after the other."""
    if pooling == "first_token":
        return encoder.encode_first_tokens(matrices, seed, training, few_rows)
    pooled = []
    for index, dense in enumerate(matrices):
        vectors = encoder(dense, tf.random.fold_in(seed, index), training, few_rows=few_rows)  # [N, T, H]
        is_real = tf.cast(dense != encoder.pad_id, vectors.dtype)[..., tf.newaxis]
        total = tf.reduce_sum(vectors * is_real, axis=1)
        pooled.append(tf.math.divide_no_nan(total, tf.reduce_sum(is_real, axis=1)))
    return tf.concat(pooled, axis=0)


def _encode_by_width(
    encoder: tf.keras.layers.Layer,
    encode: Callable[..., tf.Tensor],
    tokens: tf.RaggedTensor,
    widths: Sequence[int],
    seed: tf.Tensor,
    training: bool | None,
) -> tf.Tensor:
    bucket_of_row = tf.searchsorted(tf.constant(widths, tf.int64), tokens.row_lengths())  # [N]
    rows = [tf.where(bucket_of_row == bucket)[:, 0] for bucket in range(len(widths))]
    padded = [
        tf.gather(tokens, own).to_tensor(encoder.pad_id, shape=[None, width])
        for own, width in zip(rows, widths, strict=True)
    ]
    vectors = encode(padded, seed, training)  # [N, H], width after width
    return tf.gather(vectors, tf.math.invert_permutation(tf.cast(tf.concat(rows, axis=0), tf.int32)))


@dataclasses.dataclass(frozen=True, eq=False)
class ChunkPlan:
    """Which rows are encoded together; fixed before the first row is, so that a second pass has the same chunks.

    Attributes:
        order: [N] int32, all rows, those of one chunk one after the other.
        starts: [C + 1] int32, where each chunk begins in `order`, and N.
        widths: [C] int32, the longest row of each chunk.
    """

    order: tf.Tensor
    starts: tf.Tensor
    widths: tf.Tensor


def plan_chunks(lengths: tf.Tensor, widths: Sequence[int], max_tokens: int) -> ChunkPlan:
    """Returns chunks of rows of one bucket each, longest first, of at most `max_tokens` tokens or one row.

    Args:
        lengths: [N] int64, tokens of each row.
        widths: ascending bucket widths.
        max_tokens: most tokens of a chunk, padding included.
    """
    lengths = tf.cast(lengths, tf.int32)
    order = tf.argsort(lengths, direction="DESCENDING", stable=True)  # [N]
    ordered = tf.gather(lengths, order)
    bounds = tf.constant([0, *widths[:-1]], tf.int32)  # a bucket holds the lengths above its bound
    ends = tf.searchsorted(-ordered, -bounds)  # [buckets], rows longer than each bound
    count = tf.size(lengths)

    def cut(start: tf.Tensor, starts: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        width = tf.maximum(ordered[start], 1)
        bucket_end = tf.reduce_min(tf.where(ends > start, ends, count))
        stop = tf.minimum(bucket_end, start + tf.maximum(max_tokens // width, 1))
        return stop, starts.write(starts.size(), stop)

    first = tf.TensorArray(tf.int32, 0, dynamic_size=True, element_shape=[])
    _, stops = tf.while_loop(lambda start, _: start < count, cut, (0, first))
    starts = tf.concat([[0], stops.stack()], axis=0)
    return ChunkPlan(order, starts, tf.gather(ordered, starts[:-1]))


def _encode_by_chunk(
    encoder: tf.keras.layers.Layer,
    encode: Callable[..., tf.Tensor],
    tokens: tf.RaggedTensor,
    plan: ChunkPlan,
    seed: tf.Tensor,
    training: bool | None,
) -> tf.Tensor:
    def read_rows(chunk: tf.Tensor) -> tf.Tensor:
        return plan.order[plan.starts[chunk] : plan.starts[chunk + 1]]

    def encode_chunk(chunk: tf.Tensor) -> tf.Tensor:
        dense = tf.gather(tokens, read_rows(chunk)).to_tensor(encoder.pad_id, shape=[None, None])
        return encode([dense], tf.random.fold_in(seed, chunk), training)

    @tf.custom_gradient
    def encode_all(order: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tuple]]:
        def backward(upstream: tf.Tensor, variables: Sequence[tf.Variable] = ()) -> tuple[None, list[tf.Tensor]]:
            def differentiate(chunk: tf.Tensor) -> list[tf.Tensor]:
                with tf.GradientTape() as tape:
                    vectors = encode_chunk(chunk)
                own = tf.gather(upstream, read_rows(chunk))
                return tape.gradient(vectors, variables, own, tf.UnconnectedGradients.ZERO)

            return None, sum_gradients(differentiate, chunks, variables)

        chunks = tf.size(plan.widths)
        vectors = _concat_chunks(encode_chunk, chunks, encoder)
        return tf.gather(vectors, tf.math.invert_permutation(order)), backward

    return encode_all(plan.order)


def _concat_chunks(
    encode_chunk: Callable[[tf.Tensor], tf.Tensor], chunks: tf.Tensor, encoder: tf.keras.layers.Layer
) -> tf.Tensor:
    """Returns the vectors [N, H] of all chunks, of which no activation is kept."""
    width = encoder.shape.width
    empty = tf.TensorArray(encoder.compute_dtype, chunks, element_shape=[None, width], infer_shape=False)
    _, vectors = tf.while_loop(
        lambda chunk, _: chunk < chunks,
        lambda chunk, vectors: (chunk + 1, vectors.write(chunk, encode_chunk(chunk))),
        (0, empty),
        parallel_iterations=1,
    )
    return tf.ensure_shape(vectors.concat(), [None, width])
