"""Mixed precision: every model computes in the smaller type, and keeps weights, scores and losses in float32."""

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.encoders.roberta import RobertaEncoder
from tfr_listbert.encoders.shapes import RobertaShape
from tfr_listbert.models.masked_lm import MaskedLM, MLMHead
from tfr_listbert.models.ranker import RowScorer
from tfr_listbert.models.student import Tower
from tfr_listbert.schema import DivergedError
from tfr_listbert.training.callbacks import MOST_SKIPPED_STEPS, DivergenceCheck

ROWS = [[0, 5, 6, 2, 2, 6, 7, 2], [0, 8, 2, 2, 9, 2]]


def encode_words(encoder):
    masked_lm = MaskedLM(encoder, MLMHead(20, 8))
    rows = tf.ragged.constant(ROWS, dtype=tf.int32).to_tensor(1)
    return masked_lm, lambda seed: masked_lm(rows, rows == 6, seed=seed, training=True)


def score_rows(max_tokens):
    def build(encoder):
        scorer = RowScorer(encoder, [6, 8], feature_count=1, max_tokens=max_tokens)
        rows = tf.ragged.constant(ROWS, dtype=tf.int32)
        return scorer, lambda seed: scorer(rows, features=tf.constant([[1.0], [np.nan]]), seed=seed, training=True)

    return build


def embed_rows(encoder):
    tower = Tower(encoder, 4, [6, 8], pooling="mean")
    return tower, lambda seed: tower(tf.ragged.constant(ROWS, dtype=tf.int32), seed=seed, training=True)


@pytest.fixture
def set_policy():
    yield tf.keras.mixed_precision.set_global_policy
    tf.keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize(
    "build, policy",
    [
        (encode_words, "mixed_float16"),
        (score_rows(None), "mixed_float16"),
        (score_rows(8), "mixed_bfloat16"),
        (embed_rows, "mixed_bfloat16"),
    ],
)
def test_every_model_takes_a_step_in_mixed_precision(set_policy, build, policy):
    set_policy(policy)
    encoder = RobertaEncoder(20, RobertaShape(2, 2, 8, 16, 16), match_marks=True)
    model, compute = build(encoder)
    with tf.GradientTape() as tape:
        outputs = tf.function(compute)(tf.constant([1, 2]))
        total = tf.reduce_sum(tf.square(outputs))
    gradients = tape.gradient(total, model.trainable_variables)
    assert encoder.compute_dtype == policy.removeprefix("mixed_")
    assert outputs.dtype == tf.float32
    for gradient, weight in zip(gradients, model.trainable_variables, strict=True):
        assert weight.dtype == gradient.dtype == tf.float32
        assert np.isfinite(tf.convert_to_tensor(gradient)).all()


class _Model:
    def __init__(self, optimizer):
        self.optimizer = optimizer


def _check(optimizer, norms):
    check = DivergenceCheck()
    check.set_model(_Model(optimizer))
    for step, norm in enumerate(norms):
        check.on_step(step, {"loss": 1.0, "gradient_norm": norm})


def test_a_step_that_loss_scaling_skips_is_no_divergence_but_many_in_a_row_are():
    scaled = tf.keras.mixed_precision.LossScaleOptimizer(tf.keras.optimizers.Adam())
    _check(scaled, [np.inf] * MOST_SKIPPED_STEPS + [1.0, np.nan])
    with pytest.raises(DivergedError, match="gradient norm"):
        _check(scaled, [np.inf] * (MOST_SKIPPED_STEPS + 1))
    with pytest.raises(DivergedError, match="gradient norm"):
        _check(tf.keras.optimizers.Adam(), [np.inf])
