"""Ranking losses; importing this package registers them all."""

from tfr_listbert.losses import (  # noqa: F401  (each registers its losses)
    approx,
    list_mle,
    list_net,
    pairwise,
    pointwise,
    rank_distil,
    rank_net,
    softmax,
    yeti,
)
from tfr_listbert.losses.ranking_loss import RankingLoss, build_loss

__all__ = ["RankingLoss", "build_loss"]
