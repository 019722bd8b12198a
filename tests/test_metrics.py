"""Metrics: equal to trec_eval's, to TF-Ranking's where that has fixed answers, and to values worked out by hand."""

import numpy as np
import pytest
import pytrec_eval
import tensorflow_ranking as tfr

from tfr_listbert.metrics import ScoredList, compute_metrics, summarize_metrics
from tfr_listbert.schema import InputError


def scored(labels, scores, ids=None, query_id="q"):
    ids = [f"d{slot}" for slot in range(len(labels))] if ids is None else ids
    return ScoredList(query_id, ids, np.array(labels, float), np.array(scores, float))


def random_lists(count, seed):
    """Lists of 1 to 60 documents with many ties in score, ids of any script, some without a relevant document."""
    rng = np.random.default_rng(seed)
    lists = []
    for number in range(count):
        size = int(rng.integers(1, 61))
        prefixes = rng.choice(["", "a", "B", "é", "z9", "日", "-"], size)
        ids = [f"{prefix}{place}" for prefix, place in zip(prefixes, rng.permutation(size), strict=True)]
        labels = rng.integers(0, 5, size) * rng.integers(0, 2, size) * int(number % 10 > 0)
        scores = rng.integers(-4, 4, size) if number % 2 else rng.normal(size=size)
        lists.append(ScoredList(f"q{number}", ids, labels.astype(np.float32), scores.astype(np.float32)))
    return lists


def judged_by_trec_eval(lists, gain, relevant_from):
    measures = {"ndcg", "ndcg_cut", "map", "recip_rank", "P", "recall"}
    grades = {
        one.query_id: {d: int(gain(label)) for d, label in zip(one.document_ids, one.labels, strict=True)}
        for one in lists
    }
    run = {one.query_id: dict(zip(one.document_ids, map(float, one.scores), strict=True)) for one in lists}
    cutoffs = {"ndcg_cut.1,5,10,30", "P.1,5,10", "recall.10,30"}
    judge = pytrec_eval.RelevanceEvaluator(grades, measures - {"ndcg_cut", "P", "recall"} | cutoffs, relevant_from)
    answers = judge.evaluate(run)
    return {name: np.array([answers[one.query_id][name] for one in lists]) for name in answers[lists[0].query_id]}


@pytest.mark.parametrize("relevant_from", [1, 3])
def test_metrics_equal_trec_eval_with_ties_and_lists_of_any_length(relevant_from):
    lists = random_lists(300, seed=relevant_from)
    metrics = compute_metrics(lists, relevant_from=float(relevant_from))
    linear = judged_by_trec_eval(lists, lambda label: label, relevant_from)
    exponential = judged_by_trec_eval(lists, lambda label: 2**label - 1, 1)
    pairs = {"mrr": "recip_rank", "map": "map", "ndcg_linear": "ndcg"}
    pairs |= {f"ndcg_linear_{k}": f"ndcg_cut_{k}" for k in (1, 5, 10, 30)}
    pairs |= {f"precision_{k}": f"P_{k}" for k in (1, 5, 10)} | {f"recall_{k}": f"recall_{k}" for k in (10, 30)}
    for ours, theirs in pairs.items():
        np.testing.assert_allclose(metrics[ours], linear[theirs], atol=1e-9, err_msg=ours)
    for ours, theirs in {"ndcg": "ndcg", **{f"ndcg_{k}": f"ndcg_cut_{k}" for k in (1, 5, 10, 30)}}.items():
        np.testing.assert_allclose(metrics[ours], exponential[theirs], atol=1e-9, err_msg=ours)
    assert set(metrics) == set(pairs) | {"ndcg", "ndcg_1", "ndcg_5", "ndcg_10", "ndcg_30"}


def test_ndcg_of_labels_that_are_not_whole_equals_tf_ranking():
    rng = np.random.default_rng(0)
    labels, scores = rng.choice([0, 0.33, 1, 1.67, 2], (50, 12)), rng.normal(size=(50, 12))
    metrics = compute_metrics([scored(*one) for one in zip(labels, scores, strict=True)])
    for name, topn in {"ndcg_5": 5, "ndcg_10": 10, "ndcg": None}.items():
        means = tfr.keras.metrics.NDCGMetric(topn=topn)(labels.astype(np.float32), scores.astype(np.float32))
        np.testing.assert_allclose(metrics[name].mean(), float(means), rtol=1e-5)


def test_values_worked_out_by_hand():
    metrics = compute_metrics([scored([0, 2, 1, 0], [4, 3, 2, 1])])
    np.testing.assert_allclose(metrics["ndcg"], [(3 / np.log2(3) + 1 / 2) / (3 + 1 / np.log2(3))])
    np.testing.assert_allclose(metrics["ndcg_linear"], [(2 / np.log2(3) + 1 / 2) / (2 + 1 / np.log2(3))])
    np.testing.assert_allclose(metrics["ndcg_1"], [0])
    np.testing.assert_allclose(metrics["mrr"], [1 / 2])
    np.testing.assert_allclose(metrics["map"], [(1 / 2 + 2 / 3) / 2])
    np.testing.assert_allclose(metrics["precision_5"], [2 / 5])
    np.testing.assert_allclose(metrics["recall_10"], [1])


def test_ties_go_to_the_greater_document_id_whatever_the_order():
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        ids, labels = np.array(["b", "a", "c"])[order], np.array([0.0, 0.0, 1.0])[order]
        np.testing.assert_allclose(compute_metrics([scored(labels, [1, 1, 1], ids)])["mrr"], [1])
        np.testing.assert_allclose(compute_metrics([scored(1 - labels, [1, 1, 1], ids)])["mrr"], [1 / 2])


def test_scores_are_compared_in_float32():
    one = scored([1, 0], [1.0 + 1e-12, 1.0], ["a", "b"])  # equal in float32, as in trec_eval: b goes first
    np.testing.assert_allclose(compute_metrics([one])["mrr"], [1 / 2])


def test_labels_are_compared_in_float32_with_the_lowest_relevant_one():
    one = scored([float(np.float32(1.67)), 0], [2, 1])  # as a shard holds 1.67, which is less
    np.testing.assert_allclose(compute_metrics([one], relevant_from=1.67)["mrr"], [1.0])
    other = scored([1.33, 0], [2, 1])  # as judgements give it: float32 makes it more, and the setting likewise
    np.testing.assert_allclose(compute_metrics([other], relevant_from=1.33)["mrr"], [1.0])


def test_lists_without_a_relevant_document_count_as_zero_and_are_counted():
    lists = [scored([0, 0], [1, 2]), scored([2, 0], [2, 1]), scored([1, 1], [2, 1]), scored([], [])]
    summary = summarize_metrics(compute_metrics(lists, relevant_from=2.0))
    assert summary["lists"] == 4
    assert summary["lists_without_relevant"] == 3
    assert summary["mrr"] == 1 / 4
    assert summary["ndcg"] == 2 / 4  # NDCG counts every label above 0


def test_gains_of_large_labels_stay_finite():
    metrics = compute_metrics([scored([2000, 1999, 0], [1, 2, 3])])
    np.testing.assert_allclose(metrics["ndcg"], [(1 / 2 + 0.5 / np.log2(3)) / (1 + 0.5 / np.log2(3))])


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (scored([1, -1], [0, 0], query_id="shoes"), "Query 'shoes' has a label that is not a finite number >= 0"),
        (scored([1, np.nan], [0, 0]), "a label that is not a finite number >= 0 (1 such in all lists)"),
        (scored([1, 0], [np.nan, 0]), "the model that gave it has diverged"),
        (scored([1, 0], [1]), "query 'q' has 1 scores for 2 documents"),
        (scored([1], [1], ids=["a", "b"]), "query 'q' has 1 labels for 2 documents"),
    ],
)
def test_what_cannot_be_ranked_is_refused_with_its_query(one, message):
    with pytest.raises(InputError) as error:
        compute_metrics([scored([1], [1], query_id="good"), one])
    assert message in str(error.value)


def test_no_lists_have_no_means():
    metrics = compute_metrics([])
    assert all(values.shape == (0,) for values in metrics.values())
    with pytest.raises(InputError, match="no lists to evaluate"):
        summarize_metrics(metrics)
