"""Pointwise losses: each document on its own; the baselines of every comparison."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf
from tensorflow_ranking.python import losses_impl

from tfr_listbert.config import require
from tfr_listbert.losses.library import sum_losses
from tfr_listbert.losses.list_batch import ListBatch
from tfr_listbert.losses.ranking_loss import RankingLoss
from tfr_listbert.registry import LOSSES


@LOSSES.register("mean_squared_loss")
@dataclasses.dataclass(frozen=True)
class MeanSquaredLoss(RankingLoss):
    """Squared error of score and label: sum_i w_i (s_i - y_i)².

    Relations: freed of each list's mean error it is `pairwise_mse_loss`, up to a factor.
    """

    is_shift_invariant: ClassVar[bool] = False

    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]."""
        return sum_losses(losses_impl.MeanSquaredLoss(None), lists, lists.weights)


@LOSSES.register("sigmoid_cross_entropy_loss")
@dataclasses.dataclass(frozen=True)
class SigmoidCrossEntropyLoss(RankingLoss):
    """Cross entropy of y/max_label and sigmoid(score), summed: -sum_i w_i (t_i log σ(s_i) + (1-t_i) log(1-σ(s_i))).

    TF-Ranking has no `max_label`: its labels must be from 0 to 1. With a target t above 1 the loss has no lower bound
    (it falls by t-1 per unit of score), so a label above `max_label` stops the step.

    Attributes:
        max_label: highest grade; labels are divided by it.

    Raises:
        tf.errors.InvalidArgumentError: when the graph runs, for a label above `max_label`.

    Relations: on one relevant document of score s and one other of score -s it is twice `pairwise_logistic_loss` with
    temperature 2.
    """

    is_shift_invariant: ClassVar[bool] = False
    max_label: float = 1.0

    def __post_init__(self) -> None:
        """Checks the highest grade."""
        require(self.max_label > 0, "options.max_label", "must be > 0", self.max_label)

    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]."""
        message = (
            f"sigmoid_cross_entropy_loss has no lower bound for labels above `max_label` ({self.max_label}): set it"
        )
        with tf.control_dependencies([tf.debugging.assert_less_equal(lists.labels, self.max_label, message)]):
            targets = tf.where(lists.mask, lists.labels / self.max_label, lists.labels)
        scaled = dataclasses.replace(lists, labels=targets)
        return sum_losses(losses_impl.SigmoidCrossEntropyLoss(None), scaled, lists.weights)
