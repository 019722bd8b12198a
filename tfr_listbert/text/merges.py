"""The merge loop of byte-pair encoding, in the graph: all words at once, one rank per word and step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

_NEVER = np.iinfo(np.int32).max
"""Rank of a pair that is not merged."""


class MergeTable(tf.Module):
    """Merges pairs of neighbouring symbols, lowest rank first (Sennrich et al. 2016, arXiv 1508.07909, algorithm 1).

    In one step each word merges all pairs of its lowest rank, from left to right. That is what merging one pair at a
    time comes to, except where a merge makes a symbol that a merge of *lower* rank takes up, for that one would come
    before the next pair of the same rank. Learnt merges hardly ever do so; of one that does, a step merges one pair.
    """

    def __init__(self, vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]):
        """Builds the table.

        Args:
            vocabulary: id by symbol; holds both sides and the result of each merge.
            merges: pairs of symbols in the order of their ranks; of a pair that comes twice the last rank counts.
        """
        super().__init__(name="merge_table")
        ranks = {(vocabulary[left], vocabulary[right]): rank for rank, (left, right) in enumerate(merges)}
        results = np.array([vocabulary[left + right] for left, right in merges], np.int32)
        self._size = max(vocabulary.values()) + 1
        lowest_use = np.full(self._size, _NEVER)
        for pair, rank in ranks.items():
            lowest_use[list(pair)] = np.minimum(lowest_use[list(pair)], rank)
        is_alone = lowest_use[results] < np.arange(len(results))
        self._results = tf.constant([*results, 0], tf.int32)  # the last stands for "no merge"
        self._is_alone = tf.constant([*is_alone, False], tf.bool)
        keys = tf.constant([left * self._size + right for left, right in ranks], tf.int64)
        values = tf.constant(list(ranks.values()), tf.int32)
        self._ranks = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), _NEVER)

    def merge(self, symbols: tf.Tensor, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the symbols that are left, and their words, when nothing more can be merged.

        Args:
            symbols: [S] int32, the ids of all words' symbols in a row.
            words: [S] int32, the word of each symbol: 0, 1, ... in ascending order, each at least once.
        """
        end = tf.reduce_max(tf.concat([[-1], words], axis=0)) + 1
        symbols = tf.concat([symbols, [0]], axis=0)  # closed by a word of its own: each other symbol has a neighbour
        words = tf.concat([words, [end]], axis=0)
        ranks = tf.concat([self._look_up(symbols, words, tf.range(tf.size(symbols) - 1)), [_NEVER]], axis=0)
        symbols, words, _ = tf.while_loop(
            lambda symbols, words, ranks: tf.reduce_any(ranks < _NEVER),
            self._merge_once,
            (symbols, words, ranks),
            shape_invariants=(tf.TensorShape([None]),) * 3,
        )
        return symbols[:-1], words[:-1]

    def _look_up(self, symbols: tf.Tensor, words: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
        """Returns the ranks of the pairs that begin `at` [K]; a pair across two words is never merged."""
        left, right = (tf.cast(tf.gather(symbols, index), tf.int64) for index in (at, at + 1))
        is_one_word = tf.gather(words, at) == tf.gather(words, at + 1)
        return tf.where(is_one_word, self._ranks.lookup(left * self._size + right), _NEVER)

    def _merge_once(self, symbols: tf.Tensor, words: tf.Tensor, ranks: tf.Tensor) -> tuple[tf.Tensor, ...]:
        is_lowest = (ranks < _NEVER) & (ranks == tf.gather(tf.math.segment_min(ranks, words), words))
        merges = tf.where(is_lowest, ranks, tf.size(self._results) - 1)  # [S], which merge each pair is a candidate of
        is_merged = self._choose(is_lowest, tf.gather(self._is_alone, merges), words)
        symbols = tf.where(is_merged, tf.gather(self._results, merges), symbols)
        kept = tf.where(~tf.concat([[False], is_merged[:-1]], axis=0))[:, 0]
        symbols, words, ranks, is_merged = (tf.gather(values, kept) for values in (symbols, words, ranks, is_merged))
        changed = tf.where(is_merged | tf.concat([is_merged[1:], [False]], axis=0))  # pairs with a new side
        ranks = tf.tensor_scatter_nd_update(ranks, changed, self._look_up(symbols, words, changed[:, 0]))
        return symbols, words, ranks

    def _choose(self, is_candidate: tf.Tensor, is_alone: tf.Tensor, words: tf.Tensor) -> tf.Tensor:
        """Returns which candidate pairs [S] are merged: of overlapping ones every other, of some each word's first."""
        at = tf.range(tf.size(is_candidate))
        others = tf.cast(tf.where(~is_candidate)[:, 0], tf.int32)
        last_other = tf.gather(tf.concat([[-1], others], axis=0), tf.cumsum(tf.cast(~is_candidate, tf.int32)))
        first = tf.math.segment_min(tf.where(is_candidate, at, _NEVER), words)
        is_free = (at - last_other) % 2 == 1
        return is_candidate & is_free & (~is_alone | (at == tf.gather(first, words)))
