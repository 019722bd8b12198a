"""Pairwise losses: each pair of documents of different label, optionally with lambda weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow as tf
from tensorflow_ranking.python import losses_impl

from tfr_listbert.losses.lambda_weights import build_lambda_weight, check_lambda_weight
from tfr_listbert.losses.library import sum_losses
from tfr_listbert.losses.list_batch import ListBatch
from tfr_listbert.losses.ranking_loss import RankingLoss
from tfr_listbert.registry import LOSSES

_PAIR_WEIGHTS = ("dcg", "label_diff", "ndcg", "ndcg_v2", "precision", "yeti_dcg")


@dataclasses.dataclass(frozen=True)
class PairwiseLoss(RankingLoss):
    """Sum over the pairs with y_i > y_j of w_i · λ_ij · f((s_i - s_j) / temperature).

    A pair takes the weight w_i of its more relevant document. Every f here depends on the difference alone.

    Attributes:
        temperature: scores are divided by it.
        lambda_weight: λ: options of one of the lambda weights dcg, label_diff, ndcg, ndcg_v2, precision and yeti_dcg
            (`tfr_listbert/losses/lambda_weights.py`); 1 when empty.
    """

    library_class: ClassVar[type]
    temperature: float = 1.0
    lambda_weight: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Checks the options."""
        super().__post_init__()
        check_lambda_weight(self.lambda_weight, _PAIR_WEIGHTS)

    @property
    def pair_buffers(self) -> int:
        """Buffers of L × L numbers that the loss and its gradient hold at once for a list of L documents."""
        return 8 if self.lambda_weight is None else 16

    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]."""
        lists = lists.scaled(self.temperature)
        if self.lambda_weight is None:
            return sum_losses(self.library_class(None), lists, lists.weights)
        loss = self.library_class(None, lambda_weight=build_lambda_weight(self.lambda_weight).to_library())
        lists = lists.sorted_by(lists.scores)
        return sum_losses(loss, lists, lists.weights)


@LOSSES.register("pairwise_logistic_loss")
class PairwiseLogisticLoss(PairwiseLoss):
    """RankNet without the paper's weights: f(d) = log(1 + exp(-d)) (Burges et al., 2005).

    Relations: with lambda weight {dcg, gain square, discount rank} it is `rank_net_loss` times the number of documents;
    with {ndcg} it is LambdaLoss (Wang et al., 2018), with {ndcg, smooth_fraction 1} LambdaRank. On a list of two
    documents it equals `list_mle_loss` and, for labels 1 and 0, `softmax_loss`.
    """

    library_class: ClassVar[type] = losses_impl.PairwiseLogisticLoss


@LOSSES.register("pairwise_hinge_loss")
class PairwiseHingeLoss(PairwiseLoss):
    """Ranking SVM: f(d) = max(0, 1 - d) (Joachims, 2002).

    Relations: for distances far below 0 it exceeds `pairwise_logistic_loss` by 1 per pair; for d >= 1 it is 0.
    """

    library_class: ClassVar[type] = losses_impl.PairwiseHingeLoss


@LOSSES.register("pairwise_soft_zero_one_loss")
class PairwiseSoftZeroOneLoss(PairwiseLoss):
    """Smoothed number of swapped pairs: f(d) = σ(-d).

    Relations: as the temperature goes to 0 it counts the pairs in the wrong order (tied ones half).
    """

    library_class: ClassVar[type] = losses_impl.PairwiseSoftZeroOneLoss


@LOSSES.register("pairwise_mse_loss")
class PairwiseMSELoss(PairwiseLoss):
    """Squared error of the difference: sum over all ordered pairs i != j of w_i λ_ij ((s_i - s_j) - (y_i - y_j))².

    Unlike the other pairwise losses it takes pairs of equal label too, and each pair in both orders.

    Relations: 2·n·(sum of e² - (sum of e)²/n) with e = s - y and n documents: `mean_squared_loss` freed of the list's
    mean error, times 2n.
    """

    library_class: ClassVar[type] = losses_impl.PairwiseMSELoss
