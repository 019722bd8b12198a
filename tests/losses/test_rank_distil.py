"""Coupled-RankDistil: the likelihood of rankings drawn from the labels."""

import numpy as np

LABELS, SCORES = [[2.0, 0.0, 1.0]], [[0.5, 0.2, -0.4]]


def test_labels_far_apart_make_it_list_mle(evaluate):
    labels = [[100.0, 0.0, 50.0]]
    losses, gradients = evaluate("coupled_rankdistil_loss", {"temperature": 0.5}, labels, SCORES)
    expected, expected_gradients = evaluate("list_mle_loss", {"temperature": 0.5}, labels, SCORES)
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    np.testing.assert_allclose(gradients, expected_gradients, atol=1e-6)


def test_with_topk_1_its_expectation_is_list_net(evaluate):
    losses = evaluate("coupled_rankdistil_loss", {"topk": 1, "sample_size": 20_000}, LABELS, SCORES)[0]
    np.testing.assert_allclose(losses, evaluate("list_net_loss", {}, LABELS, SCORES)[0], rtol=0.01)


def test_its_expectation_is_that_over_all_rankings(evaluate):
    def likelihood(values, ranking):
        weights = np.exp(np.array(values)[list(ranking)])
        return np.prod([weights[place] / weights[place:].sum() for place in range(3)])

    rankings = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    expected = -sum(likelihood(LABELS[0], r) * np.log(likelihood(SCORES[0], r)) for r in rankings)
    losses = evaluate("coupled_rankdistil_loss", {"sample_size": 20_000}, LABELS, SCORES)[0]
    np.testing.assert_allclose(losses, [expected], rtol=0.01)


def test_a_list_of_zero_labels_is_left_out(evaluate):
    assert evaluate("coupled_rankdistil_loss", {}, [[0.0, 0.0]], [[1.0, 2.0]])[0] == 0.0
