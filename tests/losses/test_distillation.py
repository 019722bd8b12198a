"""What every distillation loss promises, entry by entry of the registry, and values worked out by hand."""

import functools
import json

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_ranking as tfr

from tfr_listbert.losses import build_distillation_loss, build_loss
from tfr_listbert.losses.list_batch import ListBatch
from tfr_listbert.registry import DISTILLATION_LOSSES
from tfr_listbert.schema import InputError

every_loss = pytest.mark.parametrize("key", DISTILLATION_LOSSES)


@functools.cache
def compile_loss(key, options):
    loss = build_distillation_loss(key, json.loads(options))

    @tf.function
    def losses_and_gradients(teacher, scores, mask, keys, weights):
        with tf.GradientTape() as tape:
            tape.watch(scores)
            losses = loss(teacher, scores, mask, keys, tf.constant([1, 2]), weights)
        return losses, tape.gradient(losses, scores)

    return losses_and_gradients


def evaluate(key, teacher, scores, mask=None, keys=None, weights=None, **options):
    teacher = np.asarray(teacher, np.float32)
    mask = np.ones(teacher.shape, bool) if mask is None else mask
    keys = np.broadcast_to(np.arange(teacher.shape[1]) * 7919, teacher.shape) if keys is None else keys
    weights = np.ones(teacher.shape) if weights is None else weights
    arguments = (teacher, np.asarray(scores), mask, keys, weights)
    dtypes = (tf.float32, tf.float32, tf.bool, tf.int64, tf.float32)
    tensors = [tf.constant(value, dtype) for value, dtype in zip(arguments, dtypes, strict=True)]
    return tuple(tensor.numpy() for tensor in compile_loss(key, json.dumps(options))(*tensors))


def build_lists(shape=(2, 5)):
    draw = np.random.default_rng(0)
    return {
        "teacher": draw.normal(-3, 2, shape).astype(np.float32),
        "scores": draw.normal(0, 2, shape).astype(np.float32),
        "keys": draw.integers(-(2**63), 2**63 - 1, shape),
        "weights": draw.uniform(0.5, 2, shape),
    }


@every_loss
@pytest.mark.parametrize("fill", [0.0, -1e4, np.nan])
def test_padding_gets_no_gradient_and_changes_nothing(key, fill):
    lists = build_lists()
    slots = [1, 2, 5, 8, 9]
    wide = {name: np.full((2, 12), fill, value.dtype) for name, value in lists.items() if name != "keys"}
    wide["keys"] = np.zeros((2, 12), np.int64)
    for name, value in lists.items():
        wide[name][:, slots] = value
    mask = np.isin(np.arange(12), slots)[None].repeat(2, 0)
    losses, gradients = evaluate(key, **lists)
    wide_losses, wide_gradients = evaluate(key, mask=mask, **wide)
    np.testing.assert_allclose(wide_losses, losses, rtol=1e-5)
    np.testing.assert_allclose(wide_gradients[:, slots], gradients, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(np.delete(wide_gradients, slots, axis=1), 0.0)


@every_loss
def test_a_negative_teacher_score_is_a_document_and_no_padding(key):
    lists = build_lists((1, 4)) | {"teacher": np.array([[-2.0, -0.5, 3.0, -7.0]])}
    losses, gradients = evaluate(key, **lists)
    assert losses[0] > 0.01 and (np.abs(gradients) > 1e-4).all()


@every_loss
def test_the_order_of_documents_does_not_matter(key):
    lists, order = build_lists((2, 9)), np.random.default_rng(1).permutation(9)
    losses, gradients = evaluate(key, **lists)
    moved_losses, moved_gradients = evaluate(key, **{name: value[:, order] for name, value in lists.items()})
    np.testing.assert_allclose(moved_losses, losses, rtol=1e-5)
    np.testing.assert_allclose(moved_gradients, gradients[:, order], rtol=1e-4, atol=1e-5)


@every_loss
def test_only_the_plain_squared_error_minds_where_the_scores_stand(key):
    lists = build_lists()
    losses, _ = evaluate(key, **lists)
    moved, _ = evaluate(key, **lists | {"scores": lists["scores"] + 40, "teacher": lists["teacher"] - 30})
    is_equal = np.allclose(moved, losses, rtol=1e-3)
    assert is_equal == (key != "mean_squared_loss")
    both, _ = evaluate(key, **lists | {"scores": lists["scores"] - 30, "teacher": lists["teacher"] - 30})
    np.testing.assert_allclose(both, losses, rtol=1e-3)


@every_loss
def test_a_loss_says_whether_a_shift_of_the_scores_changes_it(key):
    lists, loss = build_lists(), build_distillation_loss(key, {})

    def compute(scores):
        mask = tf.ones((2, 5), tf.bool)
        batch = ListBatch.build(lists["teacher"] + 10, scores, mask, lists["keys"], tf.constant([1, 2]))
        return loss.list_losses(batch)  # not called itself: that moves the scores where the loss says that it may

    losses, shifted = compute(lists["scores"]), compute(lists["scores"] - 7)
    assert np.allclose(losses, shifted, rtol=1e-4) == loss.is_shift_invariant


@every_loss
def test_a_list_without_weight_counts_nothing_and_scores_of_less_precision_are_computed_in_float32(key):
    lists = build_lists()
    nothing, gradients = evaluate(key, **lists | {"weights": np.zeros((2, 5))})
    np.testing.assert_array_equal(nothing, 0.0)
    np.testing.assert_array_equal(gradients, 0.0)
    rounded = tf.cast(lists["scores"], tf.bfloat16)
    arguments = (lists["teacher"], rounded, tf.ones((2, 5), tf.bool), lists["keys"], tf.constant([1, 2]))
    losses = build_distillation_loss(key, {})(*arguments, lists["weights"])
    assert losses.dtype == tf.float32
    expected, _ = evaluate(key, **lists | {"scores": tf.cast(rounded, tf.float32)})
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


@every_loss
def test_a_student_that_is_its_teacher_has_no_gradient_but_from_noise(key):
    lists = build_lists()
    _, gradients = evaluate(key, **lists | {"scores": lists["teacher"], "weights": np.ones((2, 5))}, **noiseless(key))
    np.testing.assert_allclose(gradients, 0.0, atol=0.06 if key == "coupled_rankdistil_loss" else 1e-5)


def noiseless(key):
    return {"sample_size": 4000, "topk": 1} if key == "coupled_rankdistil_loss" else {}


@every_loss
def test_a_list_of_padding_and_one_of_one_document_have_finite_losses(key):
    lists = build_lists((2, 4))
    losses, gradients = evaluate(key, mask=np.array([[False] * 4, [True] + [False] * 3]), **lists)
    assert losses[0] == 0.0 and np.isfinite(losses).all() and np.isfinite(gradients).all()


def test_margin_mse_is_equation_13_over_all_triples():
    # margins of the teacher 3, 1, 2; of the student -1, -2, 1: errors 4, 3, 1
    losses, _ = evaluate("margin_mse_loss", [[1.0, -2.0, 0.0]], [[5.0, 6.0, 7.0]])
    assert losses[0] == pytest.approx((16 + 9 + 1) / 3)
    losses, _ = evaluate("margin_mse_loss", [[1.0, -2.0, 0.0]], [[5.0, 6.0, 7.0]], min_margin=1.5)
    assert losses[0] == pytest.approx((16 + 1) / 2)


def test_softmax_kl_is_the_divergence_of_the_two_softmaxes():
    teacher, scores = np.array([[1.0, -2.0, 0.5]]), np.array([[0.0, 0.3, -1.0]])
    p, q = (np.exp(values / 2) / np.exp(values / 2).sum() for values in (teacher, scores))
    losses, _ = evaluate("softmax_kl_loss", teacher, scores, temperature=2.0)
    assert losses[0] == pytest.approx(4 * (p * np.log(p / q)).sum(), rel=1e-5)


def test_softmax_kl_of_a_list_without_weights_has_no_gradient_however_long_it_is_padded():
    loss, slots = build_distillation_loss("softmax_kl_loss", {}), 23
    mask = tf.constant([[True] * 3 + [False] * (slots - 3)])
    scores = tf.Variable(tf.linspace(0.0, 1.0, slots)[tf.newaxis])
    keys = tf.zeros([1, slots], tf.int64)
    with tf.GradientTape() as tape:
        losses = loss(tf.ones([1, slots]), scores, mask, keys, tf.zeros([2], tf.int32), tf.zeros([1, slots]))
    assert losses.numpy().tolist() == [0.0] and not tape.gradient(losses, scores).numpy().any()


def test_softmax_kl_has_the_gradient_of_list_net_on_the_teachers_scores():
    lists = build_lists() | {"weights": np.ones((2, 5))}
    scores = tf.Variable(lists["scores"])
    with tf.GradientTape() as tape:
        targets = lists["teacher"] - lists["teacher"].min(axis=1, keepdims=True)
        mask = tf.ones((2, 5), tf.bool)
        loss = build_loss("list_net_loss", {})(targets, scores, mask, lists["keys"], tf.constant([1, 2]))
    np.testing.assert_allclose(evaluate("softmax_kl_loss", **lists)[1], tape.gradient(loss, scores), atol=1e-6)


def test_mean_squared_is_that_of_the_scores_themselves():
    losses, _ = evaluate("mean_squared_loss", [[1.0, -2.0, 0.5]], [[0.0, 0.0, 0.0]])
    assert losses[0] == pytest.approx((1 + 4 + 0.25) / 3)


def test_coupled_rankdistil_is_tf_rankings_on_the_moved_scores():
    lists = build_lists((1, 6)) | {"weights": np.ones((1, 6))}
    moved = lists["teacher"] - lists["teacher"].min()
    theirs = tfr.keras.losses.CoupledRankDistilLoss(sample_size=4000, topk=3)(moved, lists["scores"]).numpy()
    losses, _ = evaluate("coupled_rankdistil_loss", **lists, sample_size=4000, topk=3)
    assert losses[0] == pytest.approx(theirs, rel=0.03)


def test_an_unknown_loss_or_option_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'margin_mse_loss'"):
        build_distillation_loss("margin_mes_loss", {})
    with pytest.raises(InputError, match="min_margin"):
        build_distillation_loss("margin_mse_loss", {"minimum_margin": 1.0})
    with pytest.raises(InputError, match="must be >= 0"):
        build_distillation_loss("margin_mse_loss", {"min_margin": -1.0})


def test_pairs_and_documents_count_as_their_weights_say():
    teacher, scores = [[1.0, -2.0, 0.0]], [[5.0, 6.0, 7.0]]  # errors 4, 3, 1 of the triples 0 1, 0 2, 2 1
    losses, _ = evaluate("margin_mse_loss", teacher, scores, weights=[[1.0, 2.0, 3.0]])
    assert losses[0] == pytest.approx((2 * 16 + 3 * 9 + 6 * 1) / 3)
    losses, _ = evaluate("margin_mse_loss", teacher, scores, min_margin=2.0)  # 2 itself is a margin
    assert losses[0] == pytest.approx((16 + 1) / 2)
    losses, _ = evaluate("mean_squared_loss", [[1.0, -2.0, 0.5]], [[0.0] * 3], weights=[[3.0, 1.0, 2.0]])
    assert losses[0] == pytest.approx((3 * 1 + 4 + 2 * 0.25) / 3)
    twice, _ = evaluate("softmax_kl_loss", [[1.0, 1.0, -2.0, 0.5]], [[0.0, 0.0, 0.3, -1.0]])
    weighted, _ = evaluate("softmax_kl_loss", [[1.0, -2.0, 0.5]], [[0.0, 0.3, -1.0]], weights=[[2.0, 1.0, 1.0]])
    assert weighted[0] == pytest.approx(twice[0], rel=1e-5)
