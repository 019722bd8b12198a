"""Pairwise losses: values worked out by hand, relations, and lambda weights."""

import numpy as np
import pytest

LABELS, SCORES = [[0.0, 2.0, 1.0, 2.0]], [[0.4, -0.3, 1.0, 0.2]]


def pair_sum(f, weight=lambda i, j: 1.0):
    """Sum over pairs (i, j) with y_i > y_j, as the docstring of PairwiseLoss has it."""
    y, s = LABELS[0], np.float64(SCORES[0])
    return sum(weight(i, j) * f(s[i] - s[j]) for i in range(4) for j in range(4) if y[i] > y[j])


def logistic(distance):
    return np.log1p(np.exp(-distance))


@pytest.mark.parametrize(
    ("key", "f"),
    [
        ("pairwise_logistic_loss", logistic),
        ("pairwise_hinge_loss", lambda distance: max(0.0, 1.0 - distance)),
        ("pairwise_soft_zero_one_loss", lambda distance: 1 / (1 + np.exp(distance))),
    ],
)
def test_a_pairwise_loss_is_the_sum_over_pairs(evaluate, key, f):
    np.testing.assert_allclose(evaluate(key, {}, LABELS, SCORES)[0], [pair_sum(f)], rtol=1e-5)
    halved = evaluate(key, {"temperature": 2.0}, LABELS, SCORES)[0]
    np.testing.assert_allclose(halved, [pair_sum(lambda distance: f(distance / 2))], rtol=1e-5)


def test_a_pair_takes_the_weight_of_its_more_relevant_document(evaluate):
    weights = [2.0, 3.0, 5.0, 7.0]
    losses = evaluate("pairwise_logistic_loss", {}, LABELS, SCORES, weights=[weights])[0]
    np.testing.assert_allclose(losses, [pair_sum(logistic, lambda i, j: weights[i])], rtol=1e-5)


def test_pairwise_mse_takes_every_ordered_pair(evaluate):
    errors = np.float64(SCORES[0]) - LABELS[0]
    expected = sum((a - b) ** 2 for a in errors for b in errors)
    losses = evaluate("pairwise_mse_loss", {}, LABELS, SCORES)[0]
    np.testing.assert_allclose(losses, [expected], rtol=1e-5)
    np.testing.assert_allclose(losses, [2 * 4 * (np.sum(errors**2) - np.sum(errors) ** 2 / 4)], rtol=1e-5)


def test_hinge_exceeds_logistic_by_one_for_a_pair_far_in_the_wrong_order(evaluate):
    lists = [[1.0, 0.0]], [[-30.0, 30.0]]
    difference = evaluate("pairwise_hinge_loss", {}, *lists)[0] - evaluate("pairwise_logistic_loss", {}, *lists)[0]
    np.testing.assert_allclose(difference, [1.0], atol=1e-5)


def test_soft_zero_one_counts_swapped_pairs_as_the_temperature_falls(evaluate):
    losses = evaluate("pairwise_soft_zero_one_loss", {"temperature": 1e-3}, LABELS, [[1.0, 1.0, 2.0, 0.0]])[0]
    np.testing.assert_allclose(
        losses, [2 + 0.5 + 1.0]
    )  # both of label 2 below label 1; one tied with label 0, one below


@pytest.mark.parametrize("labels", [[1.0, 0.0], [3.0, 1.0]])
def test_logistic_of_two_documents_is_list_mle(evaluate, labels):
    lists = [labels], [[0.3, 0.9]]
    expected = evaluate("list_mle_loss", {}, *lists)[0]
    np.testing.assert_allclose(evaluate("pairwise_logistic_loss", {}, *lists)[0], expected, rtol=1e-6)


# Ranks by score: document 2 first, then 0, 3, 1.
RANKS = {0: 2, 1: 4, 2: 1, 3: 3}


def relative(discount, i, j):
    distance = abs(RANKS[i] - RANKS[j])
    return abs(discount(distance) - discount(distance + 1))


def absolute(discount, i, j):
    return abs(discount(RANKS[i]) - discount(RANKS[j]))


def log2(rank):
    return 1 / np.log2(1 + rank)


IDEAL_DCG = 3 * log2(1) + 3 * log2(2) + 1 * log2(3)


def gain(i, j):
    return abs(2 ** LABELS[0][i] - 2 ** LABELS[0][j])


def below(cutoff, i, j):
    larger = max(RANKS[i], RANKS[j])
    return 1 / (1 - log2(larger)) if larger > cutoff else 1.0


WEIGHTS = {
    "label_diff": ({"name": "label_diff"}, lambda i, j: abs(LABELS[0][i] - LABELS[0][j])),
    "dcg": (
        {"name": "dcg"},
        lambda i, j: 4 * abs(LABELS[0][i] - LABELS[0][j]) * relative(lambda rank: 1 / rank, i, j),
    ),
    "dcg with natural logarithm": (
        {"name": "dcg", "gain": "power_of_two", "discount": "log"},
        lambda i, j: 4 * gain(i, j) * relative(lambda rank: 1 / np.log(1 + rank), i, j),
    ),
    "LambdaLoss": ({"name": "ndcg"}, lambda i, j: 4 * gain(i, j) / IDEAL_DCG * relative(log2, i, j)),
    "LambdaRank": (
        {"name": "ndcg", "smooth_fraction": 1.0},
        lambda i, j: 4 * gain(i, j) / IDEAL_DCG * absolute(log2, i, j),
    ),
    "ndcg_v2": ({"name": "ndcg_v2"}, lambda i, j: 4 * gain(i, j) / IDEAL_DCG * relative(log2, i, j)),
    "ndcg_v2 with a cut-off": (
        {"name": "ndcg_v2", "topn": 2},
        lambda i, j: 4 * gain(i, j) / (3 * log2(1) + 3 * log2(2)) * relative(log2, i, j) * below(2, i, j),
    ),
    "yeti_dcg": (
        {"name": "yeti_dcg"},
        lambda i, j: 4 * gain(i, j) * (log2(1) - log2(2)) * (abs(RANKS[i] - RANKS[j]) == 1),
    ),
    "precision": (
        {"name": "precision", "topn": 2, "relevant_from": 2.0},
        lambda i, j: ((RANKS[i] <= 2) != (RANKS[j] <= 2)) * ((LABELS[0][i] >= 2) != (LABELS[0][j] >= 2)),
    ),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_lambda_weights_multiply_pairs(evaluate, name):
    options, weight = WEIGHTS[name]
    losses = evaluate("pairwise_logistic_loss", {"lambda_weight": options}, LABELS, SCORES)[0]
    np.testing.assert_allclose(losses, [pair_sum(logistic, weight)], rtol=1e-5)
