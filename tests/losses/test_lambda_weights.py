"""Lambda weights by name: functions, defaults and what is refused. Their values are tested with the pairwise losses."""

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.losses.lambda_weights import DISCOUNTS, GAINS, LAMBDA_WEIGHTS, build_lambda_weight
from tfr_listbert.schema import InputError


def test_gains_and_discounts_are_what_their_names_say():
    labels, ranks = tf.constant([0.0, 1.0, 3.0]), tf.constant([1.0, 3.0])
    gains = {name: GAINS.get(name, "")(labels).numpy().tolist() for name in GAINS}
    assert gains == {"identity": [0, 1, 3], "square": [0, 1, 9], "power_of_two": [0, 1, 7]}
    discounts = {name: DISCOUNTS.get(name, "")(ranks).numpy() for name in DISCOUNTS}
    assert set(discounts) == {"rank", "inverse", "log", "log2"}
    np.testing.assert_array_equal(discounts["rank"], [1, 3])
    np.testing.assert_allclose(discounts["inverse"], [1, 1 / 3])
    np.testing.assert_allclose(discounts["log"], [1 / np.log(2), 1 / np.log(4)], rtol=1e-6)
    np.testing.assert_allclose(discounts["log2"], [1, 1 / 2], rtol=1e-6)


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("unique_softmax_loss", {}),
        ("yeti_logistic_loss", {}),
        ("pairwise_logistic_loss", {"lambda_weight": {"name": "ndcg"}}),
    ],
)
def test_labels_of_which_the_gain_overflows_are_refused(evaluate, key, options):
    losses, gradients = evaluate(key, options, [[0.0, 30.0, 50.0]], [[0.0, 2.0, 1.0]])
    assert np.isfinite(losses).all() and np.isfinite(np.square(1000 * gradients)).all()  # as the optimizer squares them
    with pytest.raises(tf.errors.InvalidArgumentError, match="too large for float32 with labels above 50"):
        evaluate(key, options, [[0.0, 30.0, 51.0]], [[0.0, 1.0, 2.0]])


def test_defaults_are_the_library_s():
    assert set(LAMBDA_WEIGHTS) == {"dcg", "label_diff", "list_mle", "ndcg", "ndcg_v2", "precision", "yeti_dcg"}
    dcg, ndcg = build_lambda_weight({"name": "dcg"}), build_lambda_weight({"name": "ndcg"})
    assert (dcg.gain, dcg.discount, dcg.normalized) == ("identity", "inverse", False)
    assert (ndcg.gain, ndcg.discount, ndcg.topn) == ("power_of_two", "log2", None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "ndgc"}, "names no lambda weight: got 'ndgc'. Did you mean 'ndcg'"),
        ({"name": "dcg", "gain": "sqare"}, "`options.lambda_weight.gain` names no gain: got 'sqare'. Did you mean"),
        ({"name": "dcg", "discount": "exp"}, "`options.lambda_weight.discount` names no discount"),
        ({"name": "ndcg", "normalized": True}, "`options.lambda_weight.normalized` is not a setting"),
        ({"name": "label_diff", "topn": 3}, "`options.lambda_weight.topn` is not a setting"),
        ({"name": "precision"}, "`options.lambda_weight.topn` is required and missing"),
        ({"name": "list_mle"}, "`options.lambda_weight.discount` is required and missing"),
        ({"name": "list_mle", "discount": "exp"}, "`options.lambda_weight.discount` names no discount"),
        ({"name": "ndcg", "topn": 0}, "`options.lambda_weight.topn` must be >= 1, got 0."),
        ({"name": "precision", "topn": 0}, "`options.lambda_weight.topn` must be >= 1, got 0."),
        ({"name": "ndcg", "smooth_fraction": 1.5}, "`options.lambda_weight.smooth_fraction` must be from 0 to 1"),
        ({"name": "ndcg_v2", "topn": 2, "discount": "rank"}, "must not be `rank` with a cut-off"),
    ],
)
def test_a_bad_weight_is_answered_with_what_to_do(options, message):
    with pytest.raises(InputError) as error:
        build_lambda_weight(options)
    assert message in str(error.value)
