"""Softmax cross-entropy losses: the whole list at once, as one choice (or one choice per document)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow as tf
from tensorflow_ranking.python import losses_impl

from tfr_listbert.config import require
from tfr_listbert.losses.lambda_weights import build_lambda_weight, check_lambda_weight, power_of_two
from tfr_listbert.losses.library import list_weights, sum_losses
from tfr_listbert.losses.list_batch import ListBatch
from tfr_listbert.losses.ranking_loss import RankingLoss
from tfr_listbert.registry import LOSSES


@LOSSES.register("softmax_loss")
@dataclasses.dataclass(frozen=True)
class SoftmaxLoss(RankingLoss):
    """Softmax cross entropy: -sum_i w_i y_i log softmax(s / temperature)_i.

    Attributes:
        temperature: scores are divided by it.
        lambda_weight: options of dcg or ndcg: y_i becomes gain(y_i) · discount(rank of i). TF-Ranking ignores the other
            weights here without a word, and of these two `smooth_fraction`, and `topn` unless normalized.

    Relations: not the paper's ListNet, whose target is softmax(y): only when it is fed softmax(y) does it equal
    `list_net_loss`. With one relevant document of label 1 it is the log-likelihood of a click, and equals
    `unique_softmax_loss`.
    """

    temperature: float = 1.0
    lambda_weight: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Checks the options."""
        super().__post_init__()
        check_lambda_weight(self.lambda_weight, ("dcg", "ndcg"))
        _check_is_read(self.lambda_weight or {})

    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]."""
        lists = lists.scaled(self.temperature)
        if self.lambda_weight is None:
            return sum_losses(losses_impl.SoftmaxLoss(None), lists, lists.weights)
        lists = lists.sorted_by(lists.scores)
        loss = losses_impl.SoftmaxLoss(None, lambda_weight=build_lambda_weight(self.lambda_weight).to_library())
        return sum_losses(loss, lists, lists.weights)


def _check_is_read(weight: Mapping[str, Any]) -> None:
    place, rule = "options.lambda_weight", "must be left out: a softmax loss does not read it"
    require("smooth_fraction" not in weight, f"{place}.smooth_fraction", rule, weight.get("smooth_fraction"))
    is_normalized = weight.get("name") == "ndcg" or weight.get("normalized", False)
    require(is_normalized or "topn" not in weight, f"{place}.topn", f"{rule} unless normalized", weight.get("topn"))


@LOSSES.register("calibrated_softmax_loss")
@dataclasses.dataclass(frozen=True)
class CalibratedSoftmaxLoss(SoftmaxLoss):
    """Softmax loss with one more document in each list, of score 0 (Yan et al., "Scale calibration", 2022).

    The extra document ties the scale of the scores to 0, so this loss is not shift-invariant. Its weight is 1.

    Attributes:
        virtual_label: label of the extra document.

    Relations: as all scores grow it goes to `softmax_loss`, if `virtual_label` is 0.
    """

    is_shift_invariant: ClassVar[bool] = False
    virtual_label: float = 0.0

    def __post_init__(self) -> None:
        """Checks the options."""
        super().__post_init__()
        require(self.virtual_label >= 0, "options.virtual_label", "must be >= 0", self.virtual_label)

    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]."""
        return super().list_losses(lists.with_document(label=self.virtual_label, score=0.0))


@LOSSES.register("unique_softmax_loss")
@dataclasses.dataclass(frozen=True)
class UniqueSoftmaxLoss(RankingLoss):
    """A choice of each document against the less relevant ones (Zhu and Klabjan, "Unique ratings", WSDM 2020).

    -W sum_i (2^y_i - 1) log(exp(s_i) / (exp(s_i) + sum over y_j < y_i of exp(s_j))), with W the mean of the documents'
    weights, each counted y times.

    Attributes:
        temperature: scores are divided by it. TF-Ranking also takes a lambda weight here, and ignores it.

    Relations: equals `softmax_loss` on lists with one relevant document, of label 1; with several of label 1 each is
    compared with the irrelevant ones only.
    """

    pair_buffers: ClassVar[int] = 8
    temperature: float = 1.0

    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]."""
        with tf.control_dependencies([power_of_two(lists.labels)]):  # ends for labels that are too high
            losses = sum_losses(losses_impl.UniqueSoftmaxLoss(None), lists.scaled(self.temperature))
        return losses * list_weights(lists)
