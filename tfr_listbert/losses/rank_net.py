"""RankNet as in the paper: pairs weighted by the difference of squared grades."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf
from tensorflow_ranking.python import losses_impl

from tfr_listbert.losses.library import sum_losses
from tfr_listbert.losses.list_batch import ListBatch
from tfr_listbert.losses.ranking_loss import RankingLoss
from tfr_listbert.registry import LOSSES


class _SquaredLabelDiff(losses_impl.LabelDiffLambdaWeight):
    """|y_i² - y_j²| of each pair."""

    def pair_weights(self, labels, ranks):
        return super().pair_weights(tf.square(labels), ranks)


@LOSSES.register("rank_net_loss")
@dataclasses.dataclass(frozen=True)
class RankNetLoss(RankingLoss):
    """-sum over y_i > y_j of w_i (y_i² - y_j²) log σ((s_i - s_j) / temperature) (ListBERT, eq. 4-5).

    Attributes:
        temperature: scores are divided by it.

    Relations: `pairwise_logistic_loss` with lambda weight {dcg, gain square, discount rank}, divided by the number of
    documents; on labels 0 and 1, `pairwise_logistic_loss` itself.
    """

    pair_buffers: ClassVar[int] = 8
    temperature: float = 1.0

    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]."""
        loss = losses_impl.PairwiseLogisticLoss(None, lambda_weight=_SquaredLabelDiff())
        return sum_losses(loss, lists.scaled(self.temperature), lists.weights)
