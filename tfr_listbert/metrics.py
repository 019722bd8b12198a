"""Ranking metrics of each list under one contract, trec_eval's, over the list's own documents.

- Documents are ranked by falling score, compared in float32; ties go to the greater document id, compared as text.
- A label from `relevant_from` on counts as relevant in MRR, MAP, precision and recall; precision@k divides by k.
- A list without a relevant document has 0 in every metric that asks for one, and counts in every mean. allRank gives
  such a list NDCG 1. How many there are stands beside the means.
- What was judged relevant and is not in the list counts nowhere; trec_eval lowers NDCG, MAP and recall for it.

Numpy computes them. TF-Ranking's own would need ranks in place of scores, because they break ties at random: one fully
tied list had 8 NDCGs from .401 to .689 in 8 calls. They also fix the lowest relevant label at 1, divide precision@k by
the length of a list shorter than k, and need dense [B, L] tensors and seconds to import.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tfr_listbert.registry import suggest
from tfr_listbert.schema import DivergedError, InputError, RankedList

NDCG_CUTOFFS = (1, 5, 10, 30)
PRECISION_CUTOFFS = (1, 5, 10)
RECALL_CUTOFFS = (10, 30)


@dataclasses.dataclass(frozen=True, eq=False)
class ScoredList:
    """A list as judged and as scored.

    Attributes:
        query_id: names the list in messages and tables.
        document_ids: text [L], different from each other; the order of ties.
        labels: float [L], grades >= 0.
        scores: float [L], higher is better.
    """

    query_id: str
    document_ids: Sequence[str]
    labels: np.ndarray
    scores: np.ndarray

    @classmethod
    def build(cls, ranked_list: RankedList, scores: np.ndarray) -> ScoredList:
        """Returns a list with the scores of its documents, the first of `scores` [slots]."""
        labels = np.array([document.label for document in ranked_list.documents], np.float32)
        ids = [document.document_id for document in ranked_list.documents]
        return cls(ranked_list.query_id, ids, labels, scores[: len(ids)])


def compute_metrics(lists: Sequence[ScoredList], relevant_from: float = 1.0) -> dict[str, np.ndarray]:
    """Returns every metric of every list, each float64 [number of lists].

    The keys are `ndcg_1`, `ndcg_5`, `ndcg_10`, `ndcg_30` and `ndcg` (no cut-off) with gain 2^y - 1; `ndcg_linear_1` to
    `ndcg_linear` with gain y; `mrr`, `map`, `precision_1`, `precision_5`, `precision_10`, `recall_10` and `recall_30`.

    Args:
        lists: the lists; one without documents has 0 in every metric.
        relevant_from: lowest relevant label, in `mrr`, `map`, `precision_*` and `recall_*`; in float32, as
            shards hold labels.

    Raises:
        InputError: for a label that is not a number or below 0, or arrays of different length.
        DivergedError: for a score that is not a number.
    """
    labels = _concatenate(lists, "labels", np.float32).astype(np.float64)  # as in shards, wherever they came from
    scores = _concatenate(lists, "scores", np.float32)
    sizes = np.array([len(scored.document_ids) for scored in lists], np.int64)
    owner = np.repeat(np.arange(len(lists)), sizes)
    _check(lists, owner, labels, scores)
    order = np.lexsort((-_codes(lists), -scores, owner))
    ranked = _Ranked(owner, sizes, labels[order])
    return {
        **{_key("ndcg", cutoff): _ndcg(ranked, ranked.exponential_gains, cutoff) for cutoff in (*NDCG_CUTOFFS, None)},
        **{_key("ndcg_linear", cutoff): _ndcg(ranked, ranked.labels, cutoff) for cutoff in (*NDCG_CUTOFFS, None)},
        **_binary_metrics(ranked, ranked.labels >= np.float32(relevant_from)),
    }


def require_metric(name: str, setting: str) -> None:
    """Raises InputError if `name`, the value of `setting`, is no key of `compute_metrics`."""
    known = list(compute_metrics([]))
    if name not in known:
        raise InputError(f"`{setting}` names no metric: got {name!r}. {suggest(name, known)}")


def summarize_metrics(per_list: Mapping[str, np.ndarray]) -> dict[str, float | int]:
    """Returns the mean of each metric of `compute_metrics`, with `lists` and `lists_without_relevant`, their numbers.

    Lists without a relevant document count in the means, with 0.

    Raises:
        InputError: if there are no lists.
    """
    count = len(per_list["mrr"])
    if count == 0:
        raise InputError("There are no lists to evaluate: is the split empty?")
    means = {name: float(np.mean(values)) for name, values in per_list.items()}
    without_relevant = int(np.sum(per_list["mrr"] == 0))  # MRR has no cut-off: any relevant document makes it positive
    return {**means, "lists": count, "lists_without_relevant": without_relevant}


class _Ranked:
    """All documents in one row, list after list and in each by rank."""

    def __init__(self, owner: np.ndarray, sizes: np.ndarray, labels: np.ndarray):
        self.owner, self.count, self.labels = owner, len(sizes), labels
        self.starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
        self.ranks = np.arange(len(labels)) - self.starts + 1
        # A list's NDCG does not change with a factor on its gains; this one keeps them finite for any label.
        highest = np.zeros(self.count)
        np.maximum.at(highest, owner, labels)
        self.exponential_gains = np.exp2(labels - highest[owner]) - np.exp2(-highest[owner])

    def sum(self, values: np.ndarray, cutoff: int | None = None) -> np.ndarray:
        """Sums over each list, down to the cut-off rank."""
        weights = values if cutoff is None else values * (self.ranks <= cutoff)
        return np.bincount(self.owner, weights=weights, minlength=self.count)

    def ideal(self, gains: np.ndarray) -> np.ndarray:
        """The gains in the best order of each list."""
        return gains[np.lexsort((-gains, self.owner))]


def _ndcg(ranked: _Ranked, gains: np.ndarray, cutoff: int | None) -> np.ndarray:
    discounts = 1 / np.log2(ranked.ranks + 1)
    ideal = ranked.sum(ranked.ideal(gains) * discounts, cutoff)
    return _divide(ranked.sum(gains * discounts, cutoff), ideal)


def _binary_metrics(ranked: _Ranked, is_relevant: np.ndarray) -> dict[str, np.ndarray]:
    running = np.cumsum(is_relevant)
    found = running - (running - is_relevant)[ranked.starts] if len(running) else running  # relevant so far, by rank
    total = ranked.sum(is_relevant)
    return {
        "mrr": ranked.sum(is_relevant * (found == 1) / ranked.ranks),
        "map": _divide(ranked.sum(is_relevant * found / ranked.ranks), total),
        **{f"precision_{cutoff}": ranked.sum(is_relevant, cutoff) / cutoff for cutoff in PRECISION_CUTOFFS},
        **{f"recall_{cutoff}": _divide(ranked.sum(is_relevant, cutoff), total) for cutoff in RECALL_CUTOFFS},
    }


def _divide(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    return np.divide(values, by, out=np.zeros(len(values)), where=by > 0)


def _key(name: str, cutoff: int | None) -> str:
    return name if cutoff is None else f"{name}_{cutoff}"


def _codes(lists: Sequence[ScoredList]) -> np.ndarray:
    """The place of each document's id among all ids in order of text (of code points, as strcmp on UTF-8)."""
    ids = [str(document_id) for scored in lists for document_id in scored.document_ids]
    place = {document_id: number for number, document_id in enumerate(sorted(set(ids)))}
    return np.array([place[document_id] for document_id in ids], np.int64)


def _concatenate(lists: Sequence[ScoredList], name: str, dtype: type) -> np.ndarray:
    for scored in lists:
        if len(getattr(scored, name)) != len(scored.document_ids):
            counts = f"{len(getattr(scored, name))} {name} for {len(scored.document_ids)} documents"
            raise InputError(
                f"A scored list must have one of each per document, query {scored.query_id!r} has {counts}."
            )
    return np.concatenate([np.zeros(0, dtype), *(np.asarray(getattr(scored, name), dtype) for scored in lists)])


def _check(lists: Sequence[ScoredList], owner: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> None:
    rules = {
        "a label that is not a finite number >= 0": ~(np.isfinite(labels) & (labels >= 0)),
        "a score that is not a number: the model that gave it has diverged": np.isnan(scores),
    }
    for (rule, is_broken), error in zip(rules.items(), (InputError, DivergedError), strict=True):
        if is_broken.any():
            query_id = lists[owner[np.argmax(is_broken)]].query_id
            raise error(f"Query {query_id!r} has {rule} ({int(is_broken.sum())} such in all lists).")
