"""The losses that memory is planned for by the square of a list are those that compute its pairs."""

import pytest
import tensorflow as tf

from tfr_listbert.losses import build_distillation_loss, build_loss
from tfr_listbert.registry import DISTILLATION_LOSSES, LOSSES

LENGTH = 37
EVERY_LOSS = [
    *[build_loss(key, {}) for key in LOSSES],
    *[build_distillation_loss(key, {}) for key in DISTILLATION_LOSSES],
    build_loss("softmax_loss", {"lambda_weight": {"name": "ndcg"}}),
    build_loss("list_mle_loss", {"lambda_weight": {"name": "list_mle", "discount": "log2"}}),
    build_loss("yeti_logistic_loss", {"lambda_weight": {"name": "yeti_dcg"}}),
]


@pytest.mark.parametrize("loss", EVERY_LOSS, ids=lambda loss: type(loss).__name__)
def test_pairs_are_computed_where_they_are_planned_for(loss):
    @tf.function
    def differentiate(labels, scores, mask, keys):
        with tf.GradientTape() as tape:
            tape.watch(scores)
            losses = loss(labels, scores, mask, keys, tf.constant([1, 2]), labels)
        return tape.gradient(losses, scores)

    specs = [tf.TensorSpec([1, LENGTH], kind) for kind in (tf.float32, tf.float32, tf.bool, tf.int64)]
    graph = differentiate.get_concrete_function(*specs).graph
    shapes = [output.shape for op in graph.get_operations() for output in op.outputs]
    has_pairs = any(shape.as_list().count(LENGTH) == 2 for shape in shapes if shape.rank)
    assert has_pairs == (loss.pair_buffers > 0)
