"""What an optional export changes: scores and NDCG of the same lists, before and after."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfr_listbert.config import Config
from tfr_listbert.export.gate import GATE_METRIC
from tfr_listbert.export.requests import RequestBuilder, ServedRequest
from tfr_listbert.export.text_model import TextModel
from tfr_listbert.metrics import ScoredList, compute_metrics
from tfr_listbert.schema import NUM_DOCUMENTS, QUERY, RankedList


def score_request(ranker: TextModel, request: ServedRequest) -> np.ndarray:
    """Returns the scores [B, L] that a ranker in memory gives a request with raw text."""
    inputs = request.inputs
    fields = {name: tf.constant(inputs[name], tf.string) for name in ranker.fields}
    features = {name: tf.constant(inputs[name], tf.float32) for name in ranker.features}
    counts = tf.constant(inputs[NUM_DOCUMENTS], tf.int32) if NUM_DOCUMENTS in inputs else None
    return ranker.rank_scores(tf.constant(inputs[QUERY], tf.string), fields, features, counts).numpy()


def score_in_memory(ranker: TextModel, builder: RequestBuilder, lists: Sequence[RankedList]) -> list[ScoredList]:
    """Returns lists with the scores of a ranker in memory."""
    return [ScoredList.build(one, score_request(ranker, builder.ask("", "rank_n", [one]))[0]) for one in lists]


def describe_difference(what: str, config: Config, before: Sequence[ScoredList], after: Sequence[ScoredList]) -> str:
    """Returns one line with the largest difference of a score, and NDCG before and after."""
    if not before:
        return f"{what}: there are no {config.evaluate.split} lists in {config.data.lists} to see what it changes."
    difference = max(np.abs(old.scores - new.scores).max() for old, new in zip(before, after, strict=True))
    old, new = (compute_metrics(lists, config.evaluate.relevant_from)[GATE_METRIC].mean() for lists in (before, after))
    return (
        f"{what}: scores of {len(before)} {config.evaluate.split} lists differ by {difference:.1e} at most, "
        f"{GATE_METRIC} is {new:.4f} instead of {old:.4f} ({new - old:+.4f})."
    )
