"""Ranking and distillation losses; importing this package registers them all."""

from tfr_listbert.losses import (  # noqa: F401  (each registers its losses)
    approx,
    distillation,
    list_mle,
    list_net,
    pairwise,
    pointwise,
    rank_distil,
    rank_net,
    softmax,
    yeti,
)
from tfr_listbert.losses.distillation import DistillationLoss, build_distillation_loss
from tfr_listbert.losses.ranking_loss import RankingLoss, build_loss

__all__ = ["DistillationLoss", "RankingLoss", "build_distillation_loss", "build_loss"]
