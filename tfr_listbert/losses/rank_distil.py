"""Coupled-RankDistil: ListMLE of rankings drawn from the labels."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tfr_listbert.config import require
from tfr_listbert.losses.document_noise import gumbel_noise
from tfr_listbert.losses.library import list_weights, mean_over_samples, plackett_luce_terms, slot_ranks
from tfr_listbert.losses.list_batch import ListBatch
from tfr_listbert.losses.ranking_loss import RankingLoss
from tfr_listbert.registry import LOSSES


@LOSSES.register("coupled_rankdistil_loss")
@dataclasses.dataclass(frozen=True)
class CoupledRankDistilLoss(RankingLoss):
    """-W E[log P(π's first topk | scores)] over rankings π drawn from Plackett-Luce of the labels (Reddi et al., 2021).

    Made for the scores of a teacher, it makes sense on grades too: they are taken as log odds, so a document of grade 4
    stands before one of grade 0 with odds of e^4, and close grades are not forced apart as ListMLE forces them. Labels
    must be >= 0, and a list whose labels are all 0 has loss 0, as in the library. A teacher's scores may be negative:
    move each list's lowest to 0 first, which changes no ranking's odds. W is the mean of the documents' weights, each
    counted y times.

    The expectation is a mean over `sample_size` draws. The library's code needs [B, samples, topk, L] numbers for it;
    the terms of ListMLE need [B, samples, L].

    Attributes:
        temperature: scores are divided by it; labels are not.
        sample_size: rankings drawn for each list.
        topk: length of the rankings that are compared; whole lists when empty.

    Relations: with `topk: 1` its expectation is `list_net_loss`; with labels far apart it is `list_mle_loss`.
    """

    temperature: float = 1.0
    sample_size: int = 8
    topk: int | None = None

    def __post_init__(self) -> None:
        """Checks the options."""
        super().__post_init__()
        require(self.sample_size >= 1, "options.sample_size", "must be >= 1", self.sample_size)
        require(self.topk is None or self.topk >= 1, "options.topk", "must be >= 1", self.topk)

    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]."""
        noise = gumbel_noise(lists.document_keys, lists.seed, self.sample_size)
        repeated = lists.scaled(self.temperature).repeated(self.sample_size)
        terms = plackett_luce_terms(repeated.sorted_by(repeated.labels + tf.reshape(noise, tf.shape(repeated.labels))))
        if self.topk is not None:
            terms = tf.where(slot_ranks(terms) <= self.topk, terms, 0.0)
        has_labels = tf.reduce_any(lists.labels > 0, axis=1)
        losses = mean_over_samples(tf.reduce_sum(terms, axis=1), self.sample_size)
        return tf.where(has_labels, losses * list_weights(lists), 0.0)
