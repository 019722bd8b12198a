"""Noise that follows the document: a function of its key and a seed, never of its slot, its list or its neighbours.

TensorFlow's generators draw by position in a tensor, so the noise of a document would change with its slot, with the
padding and with the batch. Here every document has a stream of its own: SplitMix64 (Steele, Lea and Flood, "Fast
splittable pseudorandom number generators", 2014) started at a hash of the document's key and the seed.
"""

from __future__ import annotations

import tensorflow as tf

_STEP = 0x9E3779B97F4A7C15 - 2**64  # SplitMix64's constants, as int64
_FACTORS = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)
_SHIFTS = (30, 27, 31)
_UNIFORM_BITS = (
    23  # (bits + 1/2) / 2^23 is exact in float32 and strictly between 0 and 1; with 24 bits it can round to 1
)


def hash_documents(document_keys: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns a number for each document that looks random and depends only on its key and the seed.

    Args:
        document_keys: int64, any shape.
        seed: int32 [2].

    Returns:
        int64 of the shape of `document_keys`; different keys have different numbers.
    """
    state = tf.cast(document_keys, tf.int64)
    for word in tf.unstack(tf.cast(seed, tf.int64), num=2):
        state = _mix(state + (word + 1) * _STEP)
    return state


def gumbel_noise(document_keys: tf.Tensor, seed: tf.Tensor, samples: int) -> tf.Tensor:
    """Returns standard Gumbel noise: `samples` independent draws for each document.

    Args:
        document_keys: int64 [B, L].
        seed: int32 [2].
        samples: number of draws S.

    Returns:
        float32 [B, S, L], each value between -2.9 and 16.7.
    """
    draws = tf.range(1, samples + 1, dtype=tf.int64)[tf.newaxis, :, tf.newaxis]
    states = hash_documents(document_keys, seed)[:, tf.newaxis, :] + draws * _STEP  # [B, S, L]
    bits = _shift_right(_mix(states), 64 - _UNIFORM_BITS)
    uniform = (tf.cast(bits, tf.float32) + 0.5) * 2.0**-_UNIFORM_BITS
    return -tf.math.log(-tf.math.log(uniform))


def _mix(state: tf.Tensor) -> tf.Tensor:
    """SplitMix64's finalizer, a bijection of 64-bit numbers; products wrap, as they do in hardware."""
    for factor, shift in zip(_FACTORS, _SHIFTS, strict=False):
        state = tf.bitwise.bitwise_xor(state, _shift_right(state, shift)) * factor
    return tf.bitwise.bitwise_xor(state, _shift_right(state, _SHIFTS[-1]))


def _shift_right(state: tf.Tensor, bits: int) -> tf.Tensor:
    """Logical shift: on int64 TensorFlow's own would copy the sign bit."""
    unsigned = tf.bitcast(state, tf.uint64)
    return tf.bitcast(tf.bitwise.right_shift(unsigned, tf.constant(bits, tf.uint64)), tf.int64)
