"""RankNet as in the paper: its formula, and what it is in terms of the library."""

import numpy as np

LABELS, SCORES = [[3.0, 0.0, 1.0, 2.0, 1.0]], [[0.3, 1.2, -0.5, 0.1, 0.0]]


def test_pairs_are_weighted_by_the_difference_of_squared_grades(evaluate):
    y, s = LABELS[0], SCORES[0]
    pairs = [(i, j) for i in range(5) for j in range(5) if y[i] > y[j]]
    expected = -sum((y[i] ** 2 - y[j] ** 2) * np.log(1 / (1 + np.exp(s[j] - s[i]))) for i, j in pairs)
    np.testing.assert_allclose(evaluate("rank_net_loss", {}, LABELS, SCORES)[0], [expected], rtol=1e-5)


def test_it_is_the_library_with_dcg_weights_of_square_and_rank_over_the_number_of_documents(evaluate):
    options = {"lambda_weight": {"name": "dcg", "gain": "square", "discount": "rank"}}
    losses, gradients = evaluate("pairwise_logistic_loss", options, LABELS, SCORES)
    expected, expected_gradients = evaluate("rank_net_loss", {}, LABELS, SCORES)
    np.testing.assert_allclose(losses / 5, expected, rtol=1e-5)
    np.testing.assert_allclose(gradients / 5, expected_gradients, rtol=1e-4)


def test_on_binary_labels_it_is_the_pairwise_logistic_loss(evaluate):
    labels = [[1.0, 0.0, 1.0, 0.0, 0.0]]
    expected = evaluate("pairwise_logistic_loss", {"temperature": 0.5}, labels, SCORES)[0]
    np.testing.assert_allclose(evaluate("rank_net_loss", {"temperature": 0.5}, labels, SCORES)[0], expected, rtol=1e-6)
