"""What a step minimizes: one loss, or several added up, on labels or on a teacher's scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfr_listbert.config import LossConfig
from tfr_listbert.losses import DistillationLoss, RankingLoss, build_distillation_loss, build_loss
from tfr_listbert.losses.micro_batches import sum_in_micro_batches
from tfr_listbert.models.scoring import score_batch
from tfr_listbert.training.trainer import Objective

_LOSS_INPUTS = ("labels", "mask", "document_keys", "weights", "teacher_scores", "is_judged")


@dataclasses.dataclass(frozen=True)
class LossTerm:
    """A loss and its share of the sum.

    Attributes:
        loss: of labels, or of a teacher's scores; the latter see every document, the former those that were judged.
        weight: its factor.
    """

    loss: RankingLoss | DistillationLoss
    weight: float = 1.0

    def compute(self, lists: Mapping[str, tf.Tensor], scores: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the term of each list, float32 [B]; lists as of `RowBatcher`, scores [B, L], seed [2] int32."""
        mask = lists["mask"]
        if isinstance(self.loss, DistillationLoss):
            targets = lists["teacher_scores"]
        else:
            targets = lists["labels"]
            mask = mask & lists["is_judged"] if "is_judged" in lists else mask
        return self.weight * self.loss(targets, scores, mask, lists["document_keys"], seed, lists["weights"])


def build_terms(config: LossConfig, setting: str = "loss") -> list[LossTerm]:
    """Returns the losses of a config, which `setting` names in messages.

    Raises:
        InputError: if a loss is unknown or misset.
    """
    if not config.terms:
        return [LossTerm(build_loss(config.loss, config.options))]
    builders = {"teacher": build_distillation_loss, "labels": build_loss}
    return [
        LossTerm(builders[term.target](term.loss, term.options, f"{setting}.terms[{number}]"), term.weight)
        for number, term in enumerate(config.terms)
    ]


def build_objective(terms: Sequence[LossTerm], micro_batch_lists: int | None = None) -> Objective:
    """Returns the trainer's objective: summed over the lists of a batch, to be divided by their number.

    Args:
        terms: the losses to add up.
        micro_batch_lists: lists whose loss is computed at once; all when None.
    """

    def add_terms(lists: Mapping[str, tf.Tensor], scores: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return tf.add_n([term.compute(lists, scores, seed) for term in terms])

    def compute(network: tf.keras.Model, batch: dict[str, tf.Tensor], seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
        scores = score_batch(network, batch, seed, training=True)  # [B, L]
        noise_seed = tf.random.fold_in(seed, tf.int32.max)  # apart from those of dropout
        lists = {name: batch[name] for name in _LOSS_INPUTS if name in batch}
        if micro_batch_lists is None:
            total = tf.reduce_sum(add_terms(lists, scores, noise_seed))
        else:
            total = sum_in_micro_batches(add_terms, lists, scores, noise_seed, micro_batch_lists)
        return total, tf.shape(scores)[0], tf.math.count_nonzero(batch["mask"])

    return compute
