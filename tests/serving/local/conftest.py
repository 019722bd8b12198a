"""A model that takes as long as it is asked to."""

import pytest
import tensorflow as tf

from serving.local.sources import ModelSource


class SlowModel(tf.Module):
    """Counts up to x, which takes as long as it takes: some 10 us a number."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64, "x")])
    def count(self, x):
        return {"y": tf.while_loop(lambda i: i < x, lambda i: (i + 1,), (tf.constant(0, tf.int64),))[0]}


@pytest.fixture
def slow_sources(tmp_path):
    model = SlowModel()
    tf.saved_model.save(model, str(tmp_path / "1"), signatures={"serving_default": model.count})
    return [ModelSource("slow", tmp_path)]
