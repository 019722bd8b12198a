"""Losses that approximate a metric: ranks are smoothed, and the metric of the smooth ranks is the loss."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf
from tensorflow_ranking.python import losses_impl

from tfr_listbert.config import require
from tfr_listbert.losses.library import list_weights, mean_over_samples, sum_losses
from tfr_listbert.losses.list_batch import ListBatch
from tfr_listbert.losses.ranking_loss import RankingLoss
from tfr_listbert.registry import LOSSES


@dataclasses.dataclass(frozen=True)
class ApproxLoss(RankingLoss):
    """-W · metric, where a document's rank is 1 + sum over the others of σ((s_j - s_i) / temperature).

    W is the mean of the documents' weights, each counted y times. A list whose labels are all 0 has loss 0.

    It rewards distance before order: 1 / log2(1 + rank) is convex, so scores far apart in a random order have an NDCG
    21 % (7 documents) to 24 % (30) above that of equal scores, which all have the middle rank. A network that starts
    with nearly equal scores first spreads them, whichever way is quickest, and hardly moves documents that are far
    apart. Only a temperature far above the distances that it reaches keeps it from that (benchmarks/LOSSES.md).

    Attributes:
        temperature: the paper's 1/α. TF-Ranking's default 0.1 is α = 10; allRank, on which the paper builds, has α = 1,
            that is `temperature: 1.0`. TF-Ranking's `losses.get` also takes a lambda weight here, and drops it.
    """

    library_class: ClassVar[type]
    pair_buffers: ClassVar[int] = 6
    temperature: float = 0.1

    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]."""
        loss = self.library_class(None, temperature=1.0)
        return sum_losses(loss, lists.scaled(self.temperature)) * list_weights(lists)


@LOSSES.register("approx_ndcg_loss")
class ApproxNDCGLoss(ApproxLoss):
    """-NDCG of the smooth ranks, with gain 2^y - 1 (Qin et al., 2010; ListBERT, eq. 11-12).

    Relations: as the temperature goes to 0 it goes to the metric -NDCG (without cut-off), if no scores are tied.
    `gumbel_approx_ndcg_loss` averages it over noisy scores.
    """

    library_class: ClassVar[type] = losses_impl.ApproxNDCGLoss


@LOSSES.register("approx_mrr_loss")
class ApproxMRRLoss(ApproxLoss):
    """-sum_i y_i / rank_i / sum_i y_i with the smooth ranks (Qin et al., 2010).

    Relations: as the temperature goes to 0 it goes to the metric -MRR on lists with one relevant document; with several
    it is the mean of their reciprocal ranks, weighted by label, and not that of the first.
    """

    library_class: ClassVar[type] = losses_impl.ApproxMRRLoss


@LOSSES.register("gumbel_approx_ndcg_loss")
@dataclasses.dataclass(frozen=True)
class GumbelApproxNDCGLoss(ApproxNDCGLoss):
    """Mean of `approx_ndcg_loss` over scores with Gumbel noise (Bruch et al., "A stochastic treatment", 2020).

    Noisy scores are (s + Gumbel) / gumbel_temperature.

    Attributes:
        sample_size: noisy copies of each list; memory is that of as many lists.
        gumbel_temperature: noisy scores are divided by it, before `temperature`.

    Relations: `approx_ndcg_loss` averaged over noisy scores; equal to it when scores lie far further apart than 1.
    """

    sample_size: int = 8
    gumbel_temperature: float = 1.0

    def __post_init__(self) -> None:
        """Checks the options."""
        super().__post_init__()
        require(self.sample_size >= 1, "options.sample_size", "must be >= 1", self.sample_size)
        require(self.gumbel_temperature > 0, "options.gumbel_temperature", "must be > 0", self.gumbel_temperature)

    @property
    def pair_buffers(self) -> int:
        """Those of all noisy copies."""
        return self.sample_size * ApproxNDCGLoss.pair_buffers

    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]."""
        noisy = lists.with_gumbel_scores(self.sample_size, self.gumbel_temperature)
        return mean_over_samples(super().list_losses(noisy), self.sample_size)
