"""What every loss promises, entry by entry of the registry, and how losses are built from a config."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_ranking as tfr

from tests.losses.conftest import SAMPLED
from tfr_listbert.losses import RankingLoss, build_loss
from tfr_listbert.losses.list_batch import ListBatch
from tfr_listbert.registry import LOSSES
from tfr_listbert.schema import InputError

NEEDED = {"sigmoid_cross_entropy_loss": {"max_label": 4.0}}  # these tests use grades from 0 to 4
VARIANTS = [
    ("pairwise_logistic_loss", {"lambda_weight": {"name": "dcg", "gain": "square", "discount": "rank"}}),
    ("pairwise_logistic_loss", {"lambda_weight": {"name": "ndcg", "topn": 3, "smooth_fraction": 0.25}}),
    ("pairwise_logistic_loss", {"lambda_weight": {"name": "precision", "topn": 2}}),
    ("pairwise_logistic_loss", {"lambda_weight": {"name": "yeti_dcg"}}),
    ("pairwise_hinge_loss", {"lambda_weight": {"name": "ndcg_v2", "topn": 3}, "temperature": 0.5}),
    ("pairwise_mse_loss", {"lambda_weight": {"name": "label_diff"}}),
    ("softmax_loss", {"lambda_weight": {"name": "ndcg", "topn": 3}}),
    ("calibrated_softmax_loss", {"virtual_label": 0.5, "lambda_weight": {"name": "dcg", "discount": "log"}}),
    ("list_mle_loss", {"lambda_weight": {"name": "list_mle", "discount": "log2"}}),
    ("approx_ndcg_loss", {"temperature": 1.0}),
    ("yeti_logistic_loss", {"lambda_weight": {"name": "yeti_dcg", "topn": 3, "normalized": True}}),
    ("coupled_rankdistil_loss", {"topk": 2}),
]
CASES = [(key, NEEDED.get(key, {})) for key in LOSSES] + VARIANTS


def for_each(cases):
    ids = [f"{key}-{json.dumps(options)}" if options else key for key, options in cases]
    return pytest.mark.parametrize(("key", "options"), cases, ids=ids)


every_loss = for_each(CASES)


def lists(shape, seed=0, scale=2.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, shape).astype(np.float32)
    scores = rng.normal(0, scale, shape).astype(np.float32)
    keys = rng.integers(-(2**63), 2**63 - 1, shape)
    return {"labels": labels, "scores": scores, "keys": keys, "weights": rng.uniform(0.5, 2, shape)}


def padded(values, width, fill):
    """The lists with padding between and behind documents, which holds what is least welcome there."""
    count, length = values["labels"].shape
    slots = np.sort(np.random.default_rng(3).permutation(width)[:length])
    wide = {name: np.full((count, width), fill, array.dtype) for name, array in values.items() if name != "keys"}
    wide["keys"] = np.broadcast_to(values["keys"][:, :1], (count, width)).copy()
    for name, array in values.items():
        wide[name][:, slots] = array
    mask = np.zeros((count, width), bool)
    mask[:, slots] = True
    return {**wide, "mask": mask}, slots


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-5 * max(1.0, np.abs(expected).max()))


@every_loss
@pytest.mark.parametrize("fill", [0.0, 1e4, np.nan])
def test_padding_gets_no_gradient(evaluate, key, options, fill):
    values, slots = padded(lists((2, 5)), 12, fill)
    gradients = evaluate(key, options, **values)[1]
    np.testing.assert_array_equal(np.delete(gradients, slots, axis=1), 0.0)


@every_loss
@pytest.mark.parametrize(("scale", "level"), [(2.0, 0.0), (2.0, -40.0), (30.0, 0.0)])
def test_padding_changes_neither_losses_nor_gradients(evaluate, key, options, scale, level):
    narrow = lists((2, 5), scale=scale)
    narrow["scores"] += level
    wide, slots = padded(narrow, 102, 0.0)
    losses, gradients = evaluate(key, options, **narrow)
    wide_losses, wide_gradients = evaluate(key, options, **wide)
    assert_close(wide_losses, losses)
    assert_close(wide_gradients[:, slots], gradients)


@every_loss
def test_order_of_documents_does_not_matter(evaluate, key, options):
    values = lists((2, 9))
    values["scores"][:, 3] = values["scores"][:, 4]  # a tie in score and many in label: ties follow documents, too
    order = np.random.default_rng(1).permutation(9)
    losses, gradients = evaluate(key, options, **values)
    moved = {name: array[:, order] for name, array in values.items()}
    moved_losses, moved_gradients = evaluate(key, options, **moved)
    assert_close(moved_losses, losses)
    assert_close(moved_gradients, gradients[:, order])


@every_loss
def test_neighbours_in_the_batch_do_not_matter(evaluate, key, options):
    values = lists((3, 6))
    values["scores"][1:] *= 100
    losses, gradients = evaluate(key, options, **values)
    alone_losses, alone_gradients = evaluate(key, options, **{name: array[:1] for name, array in values.items()})
    assert_close(alone_losses, losses[:1])
    assert_close(alone_gradients, gradients[:1])


EXTREMES = {
    "one document": ([[3.0]], [[0.7]]),
    "equal grades": ([[2.0] * 6], [[0.1, -3.0, 2.0, 0.5, 0.5, 1.0]]),
    "grades of zero": ([[0.0] * 6], [[0.1, -3.0, 2.0, 0.5, 0.5, 1.0]]),
    "equal scores": ([[0.0, 1.0, 2.0, 3.0, 4.0, 0.0]], [[1.0] * 6]),
    "a perfect ranking with scores of 50": ([[4.0, 2.0, 0.0]], [[50.0, 0.0, -50.0]]),
    "the worst ranking with scores of 50": ([[0.0, 2.0, 4.0]], [[50.0, 0.0, -50.0]]),
    "500 documents": (lists((1, 500))["labels"], lists((1, 500))["scores"]),
}


@every_loss
@pytest.mark.parametrize("extreme", EXTREMES)
def test_losses_and_gradients_are_finite(evaluate, key, options, extreme):
    losses, gradients = evaluate(key, options, *EXTREMES[extreme])
    assert np.isfinite(losses).all()
    assert np.isfinite(gradients).all()


@every_loss
def test_a_list_of_padding_has_loss_zero(evaluate, key, options):
    values = lists((2, 4))
    losses, gradients = evaluate(key, options, mask=np.array([[False] * 4, [True] * 4]), **values)
    alone, _ = evaluate(key, options, **{name: array[1:] for name, array in values.items()})
    assert losses[0] == 0.0
    np.testing.assert_array_equal(gradients[0], 0.0)
    assert_close(losses[1:], alone)


def test_a_list_of_padding_has_loss_zero_whatever_a_loss_makes_of_it():
    class One(RankingLoss):
        def list_losses(self, lists):
            return tf.ones_like(lists.scores[:, 0])

    mask, zeros = tf.constant([[False, False], [False, True]]), tf.zeros((2, 2))
    losses = One()(zeros, zeros, mask, tf.zeros((2, 2), tf.int64), tf.constant([1, 2]))
    np.testing.assert_array_equal(losses, [0.0, 1.0])


@every_loss
def test_no_weights_are_weights_of_one_even_with_grades_of_zero(evaluate, key, options):
    values = lists((2, 6))
    del values["weights"]
    values["labels"][1] = 0.0
    arguments = [tf.constant(values[name]) for name in ("labels", "scores")]
    arguments += [tf.ones((2, 6), tf.bool), tf.constant(values["keys"]), tf.constant([1, 2])]
    losses = build_loss(key, options)(*arguments)
    assert_close(losses, evaluate(key, options, **values, weights=1.0)[0])


@for_each([case for case in CASES if "virtual_label" not in case[1]])  # the virtual document has a weight of its own
def test_a_list_counts_as_often_as_its_weight_says(evaluate, key, options):
    values = lists((2, 6))
    values["weights"] = np.ones((2, 6))
    losses = evaluate(key, options, **values)[0]
    assert_close(evaluate(key, options, **{**values, "weights": 3 * values["weights"]})[0], 3 * losses)
    assert_close(evaluate(key, options, **{**values, "weights": 0 * values["weights"]})[0], 0 * losses)


@every_loss
def test_a_loss_says_whether_a_shift_of_the_scores_changes_it(key, options):
    values, loss = lists((2, 6)), build_loss(key, options)

    def compute(scores):
        batch = ListBatch.build(values["labels"], scores, tf.ones((2, 6), tf.bool), values["keys"], tf.constant([1, 2]))
        return loss.list_losses(batch)  # not called itself: that moves the scores where the loss says that it may

    losses, shifted = compute(values["scores"]), compute(values["scores"] + np.float32([[7.0], [-20.0]]))
    assert np.allclose(losses, shifted, rtol=1e-4) == loss.is_shift_invariant


@every_loss
def test_the_seed_decides_a_sampled_loss_and_no_other(evaluate, key, options):
    values = lists((2, 5))
    values["labels"] = np.float32([[0, 1, 2, 3, 4], [4, 1, 3, 0, 2]])  # without ties nothing else depends on the seed
    losses = evaluate(key, options, **values, seed=(1, 2))[0]
    np.testing.assert_array_equal(evaluate(key, options, **values, seed=(1, 2))[0], losses)
    is_same = [np.array_equal(evaluate(key, options, **values, seed=seed)[0], losses) for seed in ((1, 3), (2, 2))]
    assert is_same == [key not in SAMPLED] * 2


@every_loss
def test_a_loss_is_float32_for_scores_of_less_precision_and_the_same_in_a_graph(evaluate, key, options):
    values = lists((2, 6))
    values["scores"] = tf.cast(values["scores"], tf.bfloat16)
    mask, seed = tf.ones((2, 6), tf.bool), tf.constant([1, 2])
    weights = tf.constant(values["weights"], tf.float32)
    losses = build_loss(key, options)(values["labels"], values["scores"], mask, values["keys"], seed, weights)
    assert losses.dtype == tf.float32
    values["scores"] = tf.cast(values["scores"], tf.float32)
    assert_close(losses, evaluate(key, options, **values)[0])


@every_loss
def test_a_negative_label_of_a_document_is_refused(evaluate, key, options):
    with pytest.raises(tf.errors.InvalidArgumentError, match="label must be >= 0"):
        evaluate(key, options, [[-2.0, -0.5, 3.0]], [[0.0, 0.0, 0.0]])


def test_every_key_of_the_library_is_here_or_refused_with_its_reason():
    missing = set(tfr.keras.losses.RankingLossKey.all_keys()) - set(LOSSES)
    assert missing == {"ordinal_loss"}
    with pytest.raises(InputError, match="`compare.losses` cannot be ordinal_loss: it wants one score per grade"):
        build_loss("ordinal_loss", {}, "compare.losses")


@pytest.mark.parametrize(
    ("key", "options", "message"),
    [
        ("approx_ndgc_loss", {}, "`loss` names no loss: got 'approx_ndgc_loss'. Did you mean 'approx_ndcg_loss'"),
        ("softmax_loss", {"temprature": 1.0}, "`options.temprature` is not a setting. Did you mean 'temperature'"),
        ("softmax_loss", {"ragged": True}, "`loss` is softmax_loss: `options.ragged` is not a setting."),
        ("yeti_logistic_loss", {"seed": 1}, "`options.seed` is not a setting"),
        ("approx_ndcg_loss", {"lambda_weight": {"name": "ndcg"}}, "`options.lambda_weight` is not a setting"),
        ("unique_softmax_loss", {"lambda_weight": {"name": "ndcg"}}, "`options.lambda_weight` is not a setting"),
        ("mean_squared_loss", {"temperature": 1.0}, "`options.temperature` is not a setting. Known: none."),
        ("list_mle_loss", {"lambda_weight": {"name": "ndcg"}}, "name` must be one that this loss reads (list_mle)"),
        ("softmax_loss", {"lambda_weight": {"name": "precision", "topn": 1}}, "this loss reads (dcg, ndcg)"),
        ("softmax_loss", {"lambda_weight": {"name": "ndcg", "smooth_fraction": 0.5}}, "does not read it, got 0.5"),
        ("softmax_loss", {"lambda_weight": {"name": "dcg", "topn": 5}}, "does not read it unless normalized, got 5"),
        ("yeti_logistic_loss", {"lambda_weight": {"name": "ndcg"}}, "must be one that this loss reads (yeti_dcg)"),
        ("softmax_loss", {"lambda_weight": {"gain": "square"}}, "`options.lambda_weight.name` names no lambda weight"),
        ("softmax_loss", {"lambda_weight": "ndcg"}, "`options.lambda_weight` must be a mapping"),
        ("softmax_loss", {"temperature": 0}, "`options.temperature` must be > 0, got 0.0."),
        ("gumbel_approx_ndcg_loss", {"sample_size": 0}, "`options.sample_size` must be >= 1, got 0."),
        ("gumbel_approx_ndcg_loss", {"gumbel_temperature": -1}, "`options.gumbel_temperature` must be > 0"),
        ("yeti_logistic_loss", {"sample_size": 1.5}, "`options.sample_size` must be a whole number"),
        ("coupled_rankdistil_loss", {"topk": 0}, "`options.topk` must be >= 1, got 0."),
        ("calibrated_softmax_loss", {"virtual_label": -0.1}, "`options.virtual_label` must be >= 0"),
        ("sigmoid_cross_entropy_loss", {"max_label": 0}, "`options.max_label` must be > 0"),
    ],
)
def test_a_bad_key_or_option_is_answered_with_what_to_do(key, options, message):
    with pytest.raises(InputError) as error:
        build_loss(key, options)
    assert message in str(error.value)
