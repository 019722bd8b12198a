"""Lists as losses see them: what padding holds and how lists are rearranged."""

import numpy as np
import tensorflow as tf

from tfr_listbert.losses.document_noise import gumbel_noise
from tfr_listbert.losses.list_batch import ListBatch


def build(labels, scores, mask=None, keys=None, seed=(1, 2), weights=None):
    mask = tf.ones_like(labels, tf.bool) if mask is None else tf.constant(mask)
    keys = tf.constant([np.arange(len(labels[0])) for _ in labels]) if keys is None else tf.constant(keys)
    return ListBatch.build(tf.constant(labels), tf.constant(scores), mask, keys, tf.constant(seed), weights)


def test_padding_is_overwritten():
    lists = build([[np.nan, 2.0]], [[np.inf, 3.0]], mask=[[False, True]], weights=tf.constant([[5.0, 6.0]]))
    np.testing.assert_array_equal(lists.labels, [[-1.0, 2.0]])
    np.testing.assert_array_equal(lists.scores, [[0.0, 3.0]])
    np.testing.assert_array_equal(lists.weights, [[0.0, 6.0]])


def test_shifted_lists_have_their_highest_score_at_zero():
    lists = build([[1.0, 2.0], [0.0, 0.0]], [[-40.0, -42.0], [9.0, 9.0]], mask=[[True, True], [False, False]])
    np.testing.assert_array_equal(lists.shifted().scores, [[0.0, -2.0], [0.0, 0.0]])


def test_sorted_lists_have_padding_last_and_ties_by_document():
    mask = [[True, False, True, True, True]]
    lists = build([[0.0, 9.0, 1.0, 2.0, 3.0]], [[1.0, 9.0, 3.0, 1.0, 2.0]], mask=mask, keys=[[10, 11, 12, 13, 14]])
    ordered = lists.sorted_by(lists.scores)
    np.testing.assert_array_equal(ordered.scores, [[3.0, 2.0, 1.0, 1.0, 0.0]])
    np.testing.assert_array_equal(ordered.mask, [[True, True, True, True, False]])
    assert set(ordered.document_keys.numpy()[0, 2:4]) == {10, 13}


def test_ties_are_broken_both_ways_by_different_seeds():
    first = {
        int(build([[0.0, 0.0]], [[1.0, 1.0]], seed=(1, step)).sorted_by(tf.constant([[1.0, 1.0]])).document_keys[0, 0])
        for step in range(20)
    }
    assert first == {0, 1}


def test_noisy_copies_of_a_list_follow_each_other():
    lists = build([[1.0, 0.0], [2.0, 3.0]], [[0.0, 10.0], [20.0, 30.0]]).with_gumbel_scores(3, temperature=2.0)
    np.testing.assert_array_equal(lists.labels[:, 0], [1, 1, 1, 2, 2, 2])
    noise = lists.scores[:3] * 2.0 - [[0.0, 10.0]]
    np.testing.assert_allclose(noise, gumbel_noise(tf.constant([[0, 1]]), tf.constant([1, 2]), 3)[0], atol=1e-5)


def test_a_document_that_is_added_counts():
    lists = build([[1.0]], [[5.0]], mask=[[False]]).with_document(label=0.5, score=0.25)
    np.testing.assert_array_equal(lists.labels, [[-1.0, 0.5]])
    np.testing.assert_array_equal(lists.scores, [[0.0, 0.25]])
    np.testing.assert_array_equal(lists.mask, [[False, True]])
    np.testing.assert_array_equal(lists.weights, [[0.0, 1.0]])
