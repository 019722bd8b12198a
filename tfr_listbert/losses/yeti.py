"""YetiLoss: neighbours in noisy rankings (Lyzhin et al., "Which tricks are important for learning to rank?", 2022)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfr_listbert.config import require
from tfr_listbert.losses.lambda_weights import build_lambda_weight, check_lambda_weight
from tfr_listbert.losses.library import mean_over_samples
from tfr_listbert.losses.list_batch import ListBatch
from tfr_listbert.losses.ranking_loss import RankingLoss
from tfr_listbert.registry import LOSSES


@LOSSES.register("yeti_logistic_loss")
@dataclasses.dataclass(frozen=True)
class YetiLogisticLoss(RankingLoss):
    """Logistic loss of the pairs that stand next to each other once Gumbel noise is added to the scores.

    The mean over samples of the sum over pairs of `pairwise_logistic_loss`; see there for weights.

    Attributes:
        temperature: noisy scores are divided by it.
        lambda_weight: options of the lambda weight yeti_dcg, the only one that makes this a YetiLoss; its defaults when
            empty.
        sample_size: noisy rankings of each list.
        gumbel_temperature: noisy scores are divided by it, too.

    Relations: `pairwise_logistic_loss` with lambda weight yeti_dcg, averaged over noisy scores.
    """

    temperature: float = 1.0
    lambda_weight: Mapping[str, Any] | None = None
    sample_size: int = 8
    gumbel_temperature: float = 1.0

    def __post_init__(self) -> None:
        """Checks the options."""
        super().__post_init__()
        require(self.gumbel_temperature > 0, "options.gumbel_temperature", "must be > 0", self.gumbel_temperature)
        require(self.sample_size >= 1, "options.sample_size", "must be >= 1", self.sample_size)
        check_lambda_weight(self.lambda_weight, ("yeti_dcg",))

    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]."""
        noisy = lists.with_gumbel_scores(self.sample_size, self.gumbel_temperature).scaled(self.temperature)
        terms = self._neighbour_terms(noisy.sorted_by(noisy.scores))
        return mean_over_samples(tf.reduce_sum(terms, axis=1), self.sample_size)

    def _neighbour_terms(self, lists: ListBatch) -> tf.Tensor:
        # The library compares all pairs and gives all but neighbours the weight 0: 8 samples of one list of 2,000
        # documents took it 1.7 GB and 0.6 s. In sorted lists neighbours are slots that follow each other: [B, L-1].
        weight = build_lambda_weight(self.lambda_weight or {"name": "yeti_dcg"})
        order = tf.sign(lists.labels[:, :-1] - lists.labels[:, 1:])  # 1 where the upper one is more relevant
        losses = tf.nn.softplus(-order * (lists.scores[:, :-1] - lists.scores[:, 1:]))
        weights = tf.where(order > 0, lists.weights[:, :-1], lists.weights[:, 1:]) * weight.neighbour_weights(
            lists.labels
        )
        return tf.where(lists.mask[:, 1:], losses * weights, 0.0)
