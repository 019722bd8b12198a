"""ListMLE: the likelihood of the ideal order, its weights and its ties."""

import numpy as np
import scipy.special


def test_it_is_the_likelihood_of_the_order_by_label(evaluate):
    # Placed are weights 3, 1, 2 of 6: 3/6, then 1/3, then 2/2.
    losses, gradients = evaluate("list_mle_loss", {}, [[1.0, 0.0, 2.0]], [[0.0, np.log(2.0), np.log(3.0)]])
    np.testing.assert_allclose(losses, [np.log(2) + np.log(3)], rtol=1e-6)
    # The gradient is, of each document, its chance at each choice it takes part in, less 1.
    np.testing.assert_allclose(gradients, [[1 / 6 + 1 / 3 - 1, 2 / 6 + 2 / 3 + 1 - 1, 3 / 6 - 1]], atol=1e-6)


def test_discounts_multiply_choices(evaluate):
    options = {"lambda_weight": {"name": "list_mle", "discount": "inverse"}}
    losses = evaluate("list_mle_loss", options, [[1.0, 0.0, 2.0]], [[0.0, np.log(2.0), np.log(3.0)]])[0]
    np.testing.assert_allclose(losses, [np.log(2) + np.log(3) / 2], rtol=1e-6)


def test_a_perfect_ranking_of_far_scores_has_a_small_loss_and_gradient(evaluate):
    losses, gradients = evaluate("list_mle_loss", {}, [[2.0, 1.0, 0.0]], [[50.0, 0.0, -50.0]])
    np.testing.assert_allclose(losses, [0.0], atol=1e-6)
    np.testing.assert_allclose(gradients, [[0.0] * 3], atol=1e-6)


def test_the_worst_ranking_of_far_scores_is_exact(evaluate):
    losses, gradients = evaluate("list_mle_loss", {}, [[0.0, 1.0, 2.0]], [[50.0, 0.0, -50.0]])
    np.testing.assert_allclose(losses, [100.0 + 50.0], rtol=1e-6)
    np.testing.assert_allclose(gradients, [[2.0, -1.0, -1.0]], rtol=1e-6)


def test_a_long_list_has_the_gradient_of_double_precision(evaluate):
    rng = np.random.default_rng(0)
    scores, order = rng.normal(0, 10, 300), rng.permutation(300)
    labels = np.empty(300)
    labels[order] = np.arange(300, 0, -1)
    expected = np.zeros(300)
    for place in range(300):
        expected[order[place:]] += scipy.special.softmax(scores[order[place:]])
    gradients = evaluate("list_mle_loss", {}, [labels], [scores])[1]
    np.testing.assert_allclose(gradients, [expected - 1], atol=1e-3)


def test_ties_are_broken_anew_for_each_seed(evaluate):
    losses = {float(evaluate("list_mle_loss", {}, [[1.0, 1.0]], [[0.0, 3.0]], seed=(1, i))[0][0]) for i in range(20)}
    np.testing.assert_allclose(sorted(losses), [np.log1p(np.exp(-3)), np.log1p(np.exp(3))], rtol=1e-5)
