"""Noise by document: the generator against its definition in plain integers, and the law that it follows."""

import numpy as np
import tensorflow as tf

from tfr_listbert.losses.document_noise import gumbel_noise, hash_documents

WORD = 2**64 - 1


def mix(state):
    """SplitMix64's finalizer as published, in Python's unbounded integers."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & WORD
    return state ^ (state >> 31)


def expected_state(key, seed):
    for word in seed:
        key = mix((key + (word + 1) * 0x9E3779B97F4A7C15) & WORD)
    return key


def test_the_first_numbers_of_split_mix_64_are_the_published_ones():
    # From seed 1234567 the reference implementation gives these; the state after n steps is seed + n * constant.
    states = [(1234567 + step * 0x9E3779B97F4A7C15) & WORD for step in (1, 2, 3)]
    assert [mix(state) for state in states] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_hashes_are_those_of_the_definition():
    keys = [0, 1, -1, 2**63 - 1, -(2**63), 123456789]
    for seed in ([0, 0], [1, 2], [-5, 2**31 - 1]):
        hashes = hash_documents(tf.constant([keys], tf.int64), tf.constant(seed)).numpy()[0]
        assert [int(value) & WORD for value in hashes] == [expected_state(key & WORD, seed) for key in keys]


def test_noise_is_that_of_the_definition():
    noise = gumbel_noise(tf.constant([[42, 7]], tf.int64), tf.constant([3, 4]), samples=2).numpy()
    for sample in (0, 1):
        for slot, key in enumerate((42, 7)):
            bits = mix((expected_state(key, [3, 4]) + (sample + 1) * 0x9E3779B97F4A7C15) & WORD) >> 41
            uniform = (bits + 0.5) / 2**23
            np.testing.assert_allclose(noise[0, sample, slot], -np.log(-np.log(uniform)), rtol=1e-4, atol=1e-5)


def test_noise_of_successive_keys_is_gumbel_and_without_correlation():
    noise = gumbel_noise(tf.range(50_000, dtype=tf.int64)[tf.newaxis], tf.constant([1, 1]), samples=4).numpy()[0]
    assert abs(noise.mean() - 0.5772) < 5 * np.pi / np.sqrt(6 * noise.size)
    assert abs(noise.var() - np.pi**2 / 6) < 0.05
    uniform = np.exp(-np.exp(-noise.astype(np.float64)))
    share = np.histogram(uniform, bins=20, range=(0, 1))[0] / noise.size
    assert np.abs(share - 0.05).max() < 5 * np.sqrt(0.05 * 0.95 / noise.size)
    neighbours = [np.corrcoef(uniform[0, :-1], uniform[0, 1:])[0, 1], np.corrcoef(uniform[0], uniform[1])[0, 1]]
    other_seed = gumbel_noise(tf.range(50_000, dtype=tf.int64)[tf.newaxis], tf.constant([1, 2]), samples=1).numpy()
    neighbours.append(np.corrcoef(noise[0], other_seed[0, 0])[0, 1])
    assert np.abs(neighbours).max() < 5 / np.sqrt(50_000)


def test_noise_is_finite_at_both_ends_of_the_bits():
    bits = tf.constant([0, 2**23 - 1])
    uniform = (tf.cast(bits, tf.float32) + 0.5) * 2.0**-23
    assert uniform[0].numpy() > 0
    assert uniform[1].numpy() < 1
    noise = gumbel_noise(tf.range(200_000, dtype=tf.int64)[tf.newaxis], tf.constant([0, 0]), samples=8).numpy()
    assert noise.min() > -2.9 and noise.max() < 16.7


def test_a_document_keeps_its_noise_in_another_slot_list_and_number_of_samples():
    seed = tf.constant([5, 6])
    noise = gumbel_noise(tf.constant([[1, 2, 3], [4, 5, 6]], tf.int64), seed, samples=2).numpy()
    moved = gumbel_noise(tf.constant([[9, 9, 9, 9, 2]], tf.int64), seed, samples=3).numpy()
    np.testing.assert_array_equal(moved[0, :2, 4], noise[0, :, 1])
