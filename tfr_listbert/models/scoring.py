"""Scores of a model for whole splits."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf

from tfr_listbert.evaluation.metrics import ScoredList
from tfr_listbert.models.ranker import score_batch


def score_lists(network: tf.keras.Model, dataset: tf.data.Dataset) -> Iterator[ScoredList]:
    """Yields each list of `dataset` with the scores that `network` gives it.

    Args:
        network: as `build_ranker` gives it.
        dataset: batches of `RowBatcher`.
    """

    @tf.function(input_signature=[dataset.element_spec])
    def score(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        return score_batch(network, batch, seed=tf.zeros([2], tf.int32), training=False)

    for batch in dataset:
        scores = score(batch).numpy()
        arrays = {name: batch[name].numpy() for name in ("mask", "labels", "document_ids", "query_ids")}
        for row, mask in enumerate(arrays["mask"]):
            yield ScoredList(
                query_id=arrays["query_ids"][row].decode(),
                document_ids=[name.decode() for name in arrays["document_ids"][row][mask]],
                labels=arrays["labels"][row][mask],
                scores=scores[row][mask],
            )
