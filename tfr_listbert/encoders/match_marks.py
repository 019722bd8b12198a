"""What query and document of a row share, token by token, for the encoder's marks."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_BUCKETS = 4096
"""Trigrams are told apart by a hash; a title of 80 letters fills 2 % of the buckets."""

_MOST_LETTERS = 16
"""Letters of a piece that count; our own tokenizers have no longer pieces."""

_BEFORE, _OWN, _AFTER = range(3)


def split_parts(tokens: tf.Tensor, eos_id: int, pad_id: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns which tokens are the query's and which the document's, [N, T] bool each.

    Args:
        tokens: [N, T] int32, rows `<s> query </s></s> document </s>`, padded; a query alone has no document.
        eos_id: id of `</s>`.
        pad_id: id of padding.
    """
    is_end = tokens == eos_id
    part = tf.cumsum(tf.cast(is_end, tf.int32), axis=1)  # 0 before the first </s>, 2 after the second
    is_query = (part == 0) & (tf.range(tf.shape(tokens)[1]) > 0)
    return is_query, (part == 2) & ~is_end & (tokens != pad_id)


def mark_matches(tokens: tf.Tensor, eos_id: int, pad_id: int) -> tf.Tensor:
    """Returns which tokens of rows `<s> query </s></s> document </s>` stand in both parts.

    Rows of another form, such as a query alone, have none.

    Args:
        tokens: [N, T] int32, padded.
        eos_id: id of `</s>`.
        pad_id: id of padding.

    Returns:
        [N·T, 2] bool: a token of the query that the document has; one of the document that the query has.
    """
    is_query, is_document = split_parts(tokens, eos_id, pad_id)
    is_pair = (tokens[:, :, tf.newaxis] == tokens[:, tf.newaxis, :]) & (
        is_query[:, :, tf.newaxis] & is_document[:, tf.newaxis, :]
    )  # [N, query, document]
    return tf.reshape(tf.stack([tf.reduce_any(is_pair, axis=2), tf.reduce_any(is_pair, axis=1)], axis=2), [-1, 2])


class LetterOverlap:
    """Which share of a token's letters stands in the other part, too, with the letters on both sides of them.

    A misspelt, inflected or compound word shares most of its trigrams of letters with the word that is meant, and no
    token. Neither has to be cut into pieces as the other: trigrams reach over the ends of pieces. All is looked up by
    token id, so that a model that takes ids alone has it, too.
    """

    NAMES = ("share of a query's token", "share of a document's token", "is the query's", "is the document's")
    """What `measure` returns."""

    def __init__(self, pieces: Sequence[str], eos_id: int, pad_id: int):
        """Makes the tables of letters.

        Args:
            pieces: the letters of each id, as a tokenizer's `list_pieces` returns them.
            eos_id: id of `</s>`, which ends both parts.
            pad_id: id of padding.
        """
        self._eos_id, self._pad_id = eos_id, pad_id
        most = min(_MOST_LETTERS, max(map(len, pieces)))
        self._codes = np.zeros([len(pieces), most], np.int32)  # of trigrams, by the letter in their middle
        self._counts = np.zeros([len(pieces), most], np.float32)  # 1 where there is a letter, 0 for a space
        self._ends = np.full([len(pieces)], -1, np.int32)  # place of the last letter, which the next piece goes on from
        self._before = np.full([len(pieces)], _hash(" ", _BEFORE), np.int32)  # what a piece is to the next one
        self._after = np.full([len(pieces)], _hash(" ", _AFTER), np.int32)  # and to the one before
        for index, piece in enumerate(pieces):
            for place, letter in enumerate(piece[:most]):
                code = _hash(letter, _OWN)
                if place > 0:
                    code += _hash(piece[place - 1], _BEFORE)
                if place + 1 < len(piece):
                    code += _hash(piece[place + 1], _AFTER)
                self._codes[index, place] = code
                self._counts[index, place] = letter != " "
            if piece:
                self._ends[index] = len(piece) - 1
                self._before[index], self._after[index] = _hash(piece[-1], _BEFORE), _hash(piece[0], _AFTER)

    def measure(self, tokens: tf.Tensor) -> tf.Tensor:
        """Returns `NAMES` for each token, [N·T, 4] float32, all between 0 and 1.

        Args:
            tokens: [N, T] int32, rows `<s> query </s></s> document </s>`, padded; without a document all are 0.
        """
        is_query, is_document = (part[..., tf.newaxis] for part in split_parts(tokens, self._eos_id, self._pad_id))
        is_letter = tf.gather(self._counts, tokens)  # [N, T, letters]
        codes = self._look_up_codes(tokens)
        rows = tf.shape(tokens)[0]
        row = tf.broadcast_to(tf.range(rows)[:, tf.newaxis, tf.newaxis], tf.shape(codes))

        def place(query: tf.Tensor, document: tf.Tensor) -> tf.Tensor:
            buckets = tf.where(is_query & (is_letter > 0), query, tf.where(is_document & (is_letter > 0), document, -1))
            return tf.stack([row, buckets + 1], axis=-1)  # bucket 0 for what is neither

        own, other = place(codes, codes + _BUCKETS), place(codes + _BUCKETS, codes)
        filled = tf.scatter_nd(own, tf.ones(tf.shape(codes)), [rows, 2 * _BUCKETS + 1])
        is_shared = tf.cast(tf.gather_nd(filled, other) > 0, tf.float32) * is_letter
        shares = tf.math.divide_no_nan(tf.reduce_sum(is_shared, axis=2), tf.reduce_sum(is_letter, axis=2))
        is_row = tf.reduce_any(is_document, axis=1, keepdims=True)  # and no text of pre-training
        of_query, of_document = (tf.cast((part & is_row)[..., 0], tf.float32) for part in (is_query, is_document))
        measured = [shares * of_query, shares * of_document, of_query, of_document]
        return tf.reshape(tf.stack(measured, axis=2), [-1, len(self.NAMES)])

    def _look_up_codes(self, tokens: tf.Tensor) -> tf.Tensor:
        """Returns the bucket of each letter's trigram, [N, T, letters] int32, from 0 to `_BUCKETS` - 1."""
        places = tf.range(self._codes.shape[1])  # compared, for the ONNX export has no `one_hot` of integers
        before = tf.pad(tokens[:, :-1], [[0, 0], [1, 0]], constant_values=self._eos_id)
        after = tf.pad(tokens[:, 1:], [[0, 0], [0, 1]], constant_values=self._eos_id)
        is_first = tf.cast(places == 0, tf.int32)
        is_last = tf.cast(places == tf.gather(self._ends, tokens)[..., tf.newaxis], tf.int32)
        codes = tf.gather(self._codes, tokens)
        codes += is_first * tf.gather(self._before, before)[..., tf.newaxis]
        codes += is_last * tf.gather(self._after, after)[..., tf.newaxis]
        return tf.math.floormod(codes, _BUCKETS)


def _hash(letter: str, place: int) -> int:
    return zlib.crc32(f"{place}{letter}".encode("utf-8", "surrogatepass")) % _BUCKETS
