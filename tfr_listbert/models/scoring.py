"""Scores of a model, ranker or student, for batches and for whole splits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tfr_listbert.metrics import ScoredList

ROW_INPUTS = ("tokens", "query_tokens", "features", "mask")
"""What models take of a batch; `query_tokens` is in those of a student alone."""


def score_batch(network: tf.keras.Model, batch: dict[str, tf.Tensor], seed: tf.Tensor, training: bool) -> tf.Tensor:
    """Returns the scores [B, L] that a model gives a batch of `RowBatcher`; `seed` [2] int32 matters in training."""
    inputs = {name: batch[name] for name in ROW_INPUTS if name in batch}
    return network({**inputs, "seed": seed}, training=training)


class ListScorer:
    """Scores datasets of one kind with a model, whose graph is traced once: keep the scorer to score again."""

    def __init__(self, network: tf.keras.Model):
        """Scores with `network`, a ranker or a student."""
        self._network = network
        self._score: Callable[[dict[str, tf.Tensor]], tf.Tensor] | None = None

    def _trace(self, spec: Any) -> Callable[[dict[str, tf.Tensor]], tf.Tensor]:
        @tf.function(input_signature=[spec], autograph=False)
        def score(batch: dict[str, tf.Tensor]) -> tf.Tensor:
            return score_batch(self._network, batch, seed=tf.zeros([2], tf.int32), training=False)

        return score

    def score(self, dataset: tf.data.Dataset) -> Iterator[ScoredList]:
        """Yields each list of `dataset`, batches of `RowBatcher`, with the scores that the model gives it."""
        self._score = self._score or self._trace(dataset.element_spec)
        for batch in dataset:
            scores = self._score(batch).numpy()
            arrays = {name: batch[name].numpy() for name in ("mask", "labels", "document_ids", "query_ids")}
            for row, mask in enumerate(arrays["mask"]):
                yield ScoredList(
                    query_id=arrays["query_ids"][row].decode(),
                    document_ids=[name.decode() for name in arrays["document_ids"][row][mask]],
                    labels=arrays["labels"][row][mask],
                    scores=scores[row][mask],
                )
