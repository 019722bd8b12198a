"""Softmax losses: values worked out by hand, and relations."""

import numpy as np
import pytest

THIRDS = [[0.0, np.log(2.0), np.log(3.0)]]  # softmax is 1/6, 1/3, 1/2


def test_softmax_loss_sums_label_times_log_softmax(evaluate):
    losses, gradients = evaluate("softmax_loss", {}, [[1.0, 0.0, 2.0]], THIRDS, weights=[[3.0, 1.0, 0.5]])
    np.testing.assert_allclose(losses, [3 * np.log(6) + 0.5 * 2 * np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(gradients, [[4 / 6 - 3, 4 / 3, 4 / 2 - 1]], rtol=1e-5)


def test_temperature_divides_scores(evaluate):
    scores = [[2 * score for score in THIRDS[0]]]
    losses = evaluate("softmax_loss", {"temperature": 2.0}, [[1.0, 0.0, 0.0]], scores)[0]
    np.testing.assert_allclose(losses, [np.log(6)], rtol=1e-6)


def test_dcg_weights_replace_labels_by_discounted_gains(evaluate):
    options = {"lambda_weight": {"name": "dcg", "gain": "power_of_two"}}
    losses = evaluate("softmax_loss", options, [[1.0, 0.0, 2.0]], THIRDS)[0]
    np.testing.assert_allclose(losses, [1 / 3 * np.log(6) + 3 / 1 * np.log(2)], rtol=1e-6)  # ranks 3 and 1


def test_ndcg_weights_are_normalized_by_the_ideal_up_to_the_cutoff(evaluate):
    losses = evaluate("softmax_loss", {"lambda_weight": {"name": "ndcg", "topn": 1}}, [[1.0, 0.0, 2.0]], THIRDS)[0]
    np.testing.assert_allclose(losses, [(1 / np.log2(4) * np.log(6) + 3 * np.log(2)) / 3], rtol=1e-6)


@pytest.mark.parametrize("virtual_label", [0.0, 0.5])
def test_calibrated_softmax_has_one_more_document_of_score_zero(evaluate, virtual_label):
    # exp(s) is 1, 2, 3 and the extra document adds 1: softmax is 1/7, 2/7, 3/7 and 1/7.
    losses = evaluate("calibrated_softmax_loss", {"virtual_label": virtual_label}, [[1.0, 0.0, 2.0]], THIRDS)[0]
    np.testing.assert_allclose(losses, [np.log(7) + 2 * np.log(7 / 3) + virtual_label * np.log(7)], rtol=1e-6)


def test_calibrated_softmax_goes_to_softmax_as_scores_grow(evaluate):
    lists = [[1.0, 0.0, 2.0]], np.float32(THIRDS) + 30
    np.testing.assert_allclose(
        evaluate("calibrated_softmax_loss", {}, *lists)[0], evaluate("softmax_loss", {}, *lists)[0], rtol=1e-5
    )


def test_unique_softmax_compares_with_less_relevant_documents_alone(evaluate):
    losses = evaluate("unique_softmax_loss", {}, [[1.0, 2.0, 2.0]], THIRDS)[0]
    # exp(s) is 1, 2, 3; each document of label 2 is compared with that of label 1, which is compared with none.
    np.testing.assert_allclose(losses, [3 * np.log(3 / 2) + 3 * np.log(4 / 3)], rtol=1e-6)


def test_a_list_loss_is_weighted_by_the_mean_weight_counted_by_label(evaluate):
    labels, weights = [[1.0, 3.0, 0.0]], [[2.0, 4.0, 100.0]]
    losses = evaluate("unique_softmax_loss", {}, labels, THIRDS)[0]
    weighted = evaluate("unique_softmax_loss", {}, labels, THIRDS, weights=weights)[0]
    np.testing.assert_allclose(weighted, losses * (2 * 1 + 4 * 3) / 4, rtol=1e-6)


def test_unique_softmax_with_one_relevant_document_is_softmax(evaluate):
    lists = [[0.0, 1.0, 0.0]], THIRDS
    expected = evaluate("softmax_loss", {}, *lists)[0]
    np.testing.assert_allclose(evaluate("unique_softmax_loss", {}, *lists)[0], expected, rtol=1e-6)
