"""Hand-written gradients against TensorFlow's own, of the same formulas in plain operations."""

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.encoders.kernels import dense, dense_gelu, half_gelu, normalize, permute, sum_rows


def draw(*shape, seed=0):
    return tf.random.stateless_normal(shape, [seed, 1], dtype=tf.float64)


def plain_normalize(inputs, gamma, beta):
    mean, variance = tf.nn.moments(inputs, axes=[1], keepdims=True)
    return (inputs - mean) / tf.sqrt(variance + 1e-3) * gamma + beta


CASES = {
    "normalize": (
        lambda training: lambda *x: normalize(*x, 1e-3, training),
        plain_normalize,
        (draw(7, 5), draw(5, seed=1), draw(5, seed=2)),
    ),
    "half_gelu": (
        lambda training: half_gelu,
        lambda x: np.sqrt(2) * tf.nn.gelu(x * np.sqrt(2), approximate=False),
        (3 * draw(6, 4),),
    ),
    "dense": (
        lambda training: lambda *x: dense(*x, training),
        lambda inputs, kernel, bias: inputs @ kernel + bias,
        (draw(7, 5), draw(5, 3, seed=1), draw(3, seed=2)),
    ),
    "dense of more outputs": (
        lambda training: lambda *x: dense(*x, training),
        lambda inputs, kernel, bias: inputs @ kernel + bias,
        (draw(7, 3), draw(3, 5, seed=1), draw(5, seed=2)),
    ),
    "dense_gelu": (
        lambda training: dense_gelu,
        lambda inputs, kernel, bias: tf.nn.gelu(inputs @ kernel + bias, approximate=False),
        (draw(7, 5), draw(5, 3, seed=1), draw(3, seed=2)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_plain_operations(name):
    build, plain, arguments = CASES[name]

    def differentiate(function):
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            outputs = function(*arguments)
            total = tf.reduce_sum(outputs * draw(*outputs.shape, seed=9))
        return [outputs, *tape.gradient(total, arguments)]

    expected = differentiate(plain)
    for got in (differentiate(build(True)), differentiate(build(False))):
        for one, other in zip(got, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_rows_are_summed():
    np.testing.assert_allclose(sum_rows(tf.constant([[1.0, 2.0], [3.0, 5.0]])), [4.0, 7.0])
    np.testing.assert_allclose(sum_rows(tf.zeros([0, 2])), [0.0, 0.0])


@pytest.mark.parametrize("few", [False, True])
def test_axes_but_the_last_are_permuted(few):
    values = np.arange(2 * 3 * 4 * 5, dtype=np.float32)
    expected = values.reshape(2, 3, 4, 5).transpose(2, 0, 1, 3)
    np.testing.assert_array_equal(permute(tf.constant(values), [2, 3, 4, 5], [2, 0, 1], few), expected)
    assert permute(tf.zeros([0]), [2, 0, 4, 5], [2, 0, 1], few).shape == (4, 2, 0, 5)
