"""ListMLE: the likelihood of the ideal order."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfr_listbert.losses.lambda_weights import build_lambda_weight, check_lambda_weight
from tfr_listbert.losses.library import list_weights, plackett_luce_terms, slot_ranks
from tfr_listbert.losses.list_batch import ListBatch
from tfr_listbert.losses.ranking_loss import RankingLoss
from tfr_listbert.registry import LOSSES


@LOSSES.register("list_mle_loss")
@dataclasses.dataclass(frozen=True)
class ListMLELoss(RankingLoss):
    """-W log P(documents by falling label) under Plackett-Luce (Xia et al., 2008; ListBERT, eq. 8-10).

    Documents of equal label stand in an order drawn anew for each seed. W is the mean of the documents' weights, each
    counted y times.

    Attributes:
        temperature: scores are divided by it.
        lambda_weight: options of the lambda weight list_mle: the choice at rank r counts discount(r) times.

    Relations: on a list of two documents of different label it equals `pairwise_logistic_loss`; with its first choice
    alone and one relevant document, `softmax_loss`; `coupled_rankdistil_loss` averages it over orders drawn from the
    labels.
    """

    temperature: float = 1.0
    lambda_weight: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Checks the options."""
        super().__post_init__()
        check_lambda_weight(self.lambda_weight, ("list_mle",))

    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]."""
        terms = plackett_luce_terms(lists.scaled(self.temperature).sorted_by(lists.labels))
        if self.lambda_weight is not None:
            discounts = build_lambda_weight(self.lambda_weight).to_library()
            terms *= discounts.individual_weights(terms, slot_ranks(terms))
        return tf.reduce_sum(terms, axis=1) * list_weights(lists)
