"""Tests of the merge loop, against merging one pair at a time."""

import random

import pytest
import tensorflow as tf

from tfr_listbert.text.merges import MergeTable


def merge_one_at_a_time(word, merges):
    symbols, ranks = list(word), {pair: rank for rank, pair in enumerate(merges)}
    while found := [
        (ranks[pair], at) for at, pair in enumerate(zip(symbols, symbols[1:], strict=False)) if pair in ranks
    ]:
        _, at = min(found)
        symbols[at : at + 2] = ["".join(symbols[at : at + 2])]
    return symbols


def merge_in_graph(words, merges):
    names = sorted({*"abcdef", *(part for pair in merges for part in (*pair, "".join(pair)))})
    table = MergeTable({name: index for index, name in enumerate(names)}, merges)
    symbols = tf.constant([names.index(letter) for word in words for letter in word], tf.int32)
    rows = tf.constant([row for row, word in enumerate(words) for _ in word], tf.int32)
    symbols, rows = tf.function(table.merge)(symbols, rows)
    merged = [[] for _ in words]
    for symbol, row in zip(symbols.numpy(), rows.numpy(), strict=True):
        merged[row].append(names[symbol])
    return merged


@pytest.mark.parametrize(
    ("merges", "word", "symbols"),
    [
        ([("a", "a")], "aaaaa", ["aa", "aa", "a"]),
        ([("b", "c"), ("a", "b")], "abc", ["a", "bc"]),
        ([("a", "b"), ("ab", "c"), ("b", "c")], "abcbc", ["abc", "bc"]),
        # (ab, a) outranks the merge that makes ab: it takes the a that a second (a, b) would have had.
        ([("ab", "a"), ("a", "b")], "abab", ["aba", "b"]),
    ],
)
def test_merges_by_hand(merges, word, symbols):
    assert merge_one_at_a_time(word, merges) == symbols
    assert merge_in_graph([word], merges) == [symbols]


@pytest.mark.parametrize("seed", range(6))
def test_any_merges_in_any_order_equal_merging_one_at_a_time(seed):
    draw = random.Random(seed)
    parts = list("abc")
    merges = []
    for _ in range(25):
        merges.append((draw.choice(parts), draw.choice(parts)))
        parts.append("".join(merges[-1]))
    draw.shuffle(merges)
    words = ["".join(draw.choices("abc", k=draw.randint(1, 30))) for _ in range(200)]
    assert merge_in_graph(words, merges) == [merge_one_at_a_time(word, merges) for word in words]


def test_no_words_are_no_symbols():
    assert merge_in_graph([], [("a", "b")]) == []
