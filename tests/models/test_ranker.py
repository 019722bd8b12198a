"""The ranker: each row scored as if alone, features ready for the head, and nothing paid for empty slots."""

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.encoders.roberta import RobertaEncoder
from tfr_listbert.encoders.shapes import RobertaShape
from tfr_listbert.models.ranker import FeatureStatistics, RowScorer, build_ranker
from tfr_listbert.models.scoring import score_batch

SHAPE = RobertaShape(layers=2, heads=2, width=8, inner_width=16, positions=40)
SEED = tf.constant([1, 2])


@pytest.fixture(scope="module")
def row_scorer():
    scorer = RowScorer(RobertaEncoder(30, SHAPE), widths=(6, 11, 33), feature_count=2)
    for weight in scorer.trainable_variables:
        weight.assign_add(tf.random.stateless_normal(weight.shape, [1, len(weight.name)], stddev=0.3))
    scorer.feature_statistics.set_statistics([10.0, -1.0], [2.0, 0.5])
    return scorer


def build_batch(sizes, seed=0):
    """Lists of the given sizes with random rows of 3 to 33 tokens."""
    draw = np.random.default_rng(seed)
    rows = [[0, *draw.integers(4, 30, draw.integers(1, 31)), 2] for _ in range(sum(sizes))]
    features = draw.normal(size=(sum(sizes), 2)).astype(np.float32)
    features[draw.random(features.shape) < 0.2] = np.nan
    mask = np.arange(max(sizes))[None] < np.array(sizes)[:, None]
    return {"tokens": tf.ragged.constant(rows, tf.int32), "features": tf.constant(features), "mask": tf.constant(mask)}


def test_scores_in_lists_equal_scores_alone(row_scorer):
    batch = build_batch([5, 1, 12, 3])
    scores = score_batch(build_ranker(row_scorer), batch, SEED, training=False)
    alone = [
        row_scorer(batch["tokens"][row : row + 1], batch["features"][row : row + 1])[0].numpy()
        for row in range(int(batch["tokens"].nrows()))
    ]
    np.testing.assert_allclose(scores[batch["mask"]], alone, atol=2e-6)
    assert np.ptp(alone) > 0.1


def test_any_slots_of_a_list_may_be_empty(row_scorer):
    batch = build_batch([3])
    holes = tf.constant([[False, True, False, True, True, False]])
    ranker = build_ranker(row_scorer)
    scores = score_batch(ranker, {**batch, "mask": holes}, SEED, training=False)
    np.testing.assert_allclose(scores[holes], score_batch(ranker, batch, SEED, training=False)[0], atol=1e-6)


def test_no_row_is_computed_for_an_empty_slot(row_scorer, monkeypatch):
    computed = []

    def encode(tokens, *_):
        computed.extend(one.shape for one in tokens)
        return tf.zeros([sum(len(one) for one in tokens), 8])

    monkeypatch.setattr(row_scorer.encoder, "encode_first_tokens", encode)
    batch = build_batch([2, 9, 1])
    row_scorer._encode(batch["tokens"], SEED, training=False)
    assert sum(shape[0] for shape in computed) == 12
    assert [shape[1] for shape in computed] == [6, 11, 33]


def test_lists_of_one_and_of_500_documents_score(row_scorer):
    scores = score_batch(build_ranker(row_scorer), build_batch([1, 500]), SEED, training=False)
    assert scores.shape == (2, 500) and np.isfinite(scores).all()


def test_a_batch_without_documents_scores(row_scorer):
    batch = {"tokens": tf.RaggedTensor.from_row_lengths(tf.zeros([0], tf.int32), tf.zeros([0], tf.int64))}
    scores = row_scorer(batch["tokens"], tf.zeros([0, 2]))
    assert scores.shape == (0,)


def test_dropout_follows_the_seed(row_scorer):
    batch, ranker = build_batch([4, 4]), build_ranker(row_scorer)
    once = score_batch(ranker, batch, SEED, training=True)
    np.testing.assert_array_equal(score_batch(ranker, batch, SEED, training=True), once)
    assert np.abs(score_batch(ranker, batch, SEED + 1, training=True) - once).max() > 1e-3


def test_training_without_a_seed_is_refused(row_scorer):
    batch = build_batch([3])
    with pytest.raises(ValueError, match="Training needs `seed`"):
        row_scorer(batch["tokens"], batch["features"], training=True)


def test_features_are_normalized_and_missing_ones_marked():
    layer = FeatureStatistics(2)
    layer.set_statistics([10.0, -1.0], [2.0, 0.5])
    got = layer(tf.constant([[14.0, float("nan")], [float("nan"), -2.0]]))
    np.testing.assert_allclose(got, [[2, 0, 0, 1], [0, -2, 1, 0]])
    np.testing.assert_allclose(layer(tf.constant([[1e30, -1e30]])), [[10, -10, 0, 0]])


def test_a_missing_feature_counts_as_the_training_mean_but_is_told_apart(row_scorer):
    tokens = build_batch([1])["tokens"]
    missing = row_scorer(tokens, tf.constant([[float("nan"), 0.0]])).numpy()
    mean = row_scorer(tokens, tf.constant([[10.0, 0.0]])).numpy()
    indicator = row_scorer.head.kernel.numpy()[SHAPE.width + 2]
    np.testing.assert_allclose(missing - mean, indicator * np.sqrt(SHAPE.width), atol=1e-5)
