"""ListNet as in the paper: cross entropy of two softmaxes."""

from __future__ import annotations

import dataclasses

import tensorflow as tf
from tensorflow_ranking.python import losses_impl

from tfr_listbert.losses.library import sum_losses
from tfr_listbert.losses.list_batch import ListBatch
from tfr_listbert.losses.ranking_loss import RankingLoss
from tfr_listbert.registry import LOSSES


@LOSSES.register("list_net_loss")
@dataclasses.dataclass(frozen=True)
class ListNetLoss(RankingLoss):
    """-sum_i w_i softmax(y)_i log softmax(s / temperature)_i (Cao et al., 2007; ListBERT, eq. 6-7).

    Attributes:
        temperature: scores are divided by it; grades are not.

    Relations: `softmax_loss` fed with softmax(y); the expectation of `coupled_rankdistil_loss` with `topk: 1`.
    """

    temperature: float = 1.0

    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]."""
        targets = tf.nn.softmax(tf.where(lists.mask, lists.labels, tf.float32.min), axis=1)
        softened = dataclasses.replace(lists.scaled(self.temperature), labels=targets)
        return sum_losses(losses_impl.SoftmaxLoss(None), softened, lists.weights)
