"""The useful work of the encoder: by hand, and by the products that it makes."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.flops import count_forward_flops
from tfr_listbert.encoders import block
from tfr_listbert.encoders.roberta import RobertaEncoder
from tfr_listbert.encoders.shapes import RobertaShape

SHAPE = RobertaShape(layers=2, heads=2, width=8, inner_width=16, positions=40)


def test_work_by_hand():
    # Rows of 3 and 5 tokens. First layer: 2·8·(4·8² + 2·8·16) of products with weights, 4·(3² + 5²)·8 of attention.
    # Last layer: keys and values of 8 tokens 2·8·2·8²; of 2 first tokens 2·2·(2·8² + 2·8·16), attention to 8 4·8·8.
    assert count_forward_flops(np.array([3, 5]), SHAPE) == 8192 + 1088 + 2048 + 1536 + 256


@pytest.fixture
def count_products(monkeypatch):
    """A function that returns the floating-point operations of the matrix products in a call of the encoder."""
    work = []
    multiply = tf.matmul

    def count_attention(one, other, **options):
        product = multiply(one, other, **options)
        if product.shape.rank == 4:  # those of two axes are dense layers
            work.append(2 * int(tf.size(product)) * one.shape[-1])
        return product

    def count_dense(dense):
        def counted(matrix, kernel, *rest):
            work.append(2 * matrix.shape[0] * kernel.shape[0] * kernel.shape[1])
            return dense(matrix, kernel, *rest)

        return counted

    def count(call):
        tf.config.run_functions_eagerly(True)
        try:
            call()
        finally:
            tf.config.run_functions_eagerly(False)
        return sum(work)

    monkeypatch.setattr(tf, "matmul", count_attention)
    for name in ("dense", "dense_gelu"):
        monkeypatch.setattr(block, name, count_dense(getattr(block, name)))
    return count


def test_work_is_that_of_the_encoders_products(count_products):
    encoder = RobertaEncoder(30, SHAPE)
    matrices = [tf.fill([3, 4], 7), tf.fill([2, 6], 7)]  # full rows
    counted = count_products(lambda: encoder.encode_first_tokens(matrices, training=False))
    assert counted == count_forward_flops(np.array([4] * 3 + [6] * 2), SHAPE)
