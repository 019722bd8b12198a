"""ListNet as in the paper: its formula, and softmax loss fed with softmaxed grades."""

import numpy as np
import scipy.special

LABELS, SCORES = [[3.0, 0.0, 1.0, 2.0]], [[0.3, 1.2, -0.5, 0.1]]


def test_it_is_the_cross_entropy_of_softmaxed_grades_and_softmaxed_scores(evaluate):
    target, log_share = scipy.special.softmax(LABELS[0]), scipy.special.log_softmax(np.array(SCORES[0]) / 2)
    weights = [1.0, 2.0, 3.0, 4.0]
    losses = evaluate("list_net_loss", {"temperature": 2.0}, LABELS, SCORES, weights=[weights])[0]
    np.testing.assert_allclose(losses, [-np.sum(weights * target * log_share)], rtol=1e-6)


def test_softmax_loss_fed_with_softmaxed_grades_is_list_net(evaluate):
    target = scipy.special.softmax(LABELS, axis=1)
    losses, gradients = evaluate("softmax_loss", {}, target, SCORES)
    expected, expected_gradients = evaluate("list_net_loss", {}, LABELS, SCORES)
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    np.testing.assert_allclose(gradients, expected_gradients, atol=1e-6)


def test_its_gradient_is_zero_where_scores_equal_grades(evaluate):
    np.testing.assert_allclose(evaluate("list_net_loss", {}, LABELS, LABELS)[1], [[0.0] * 4], atol=1e-7)
