"""Losses that hold a student's scores against a teacher's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow as tf

from tfr_listbert.config import require
from tfr_listbert.losses.list_batch import ListBatch
from tfr_listbert.losses.rank_distil import CoupledRankDistilLoss
from tfr_listbert.losses.ranking_loss import ListLoss, build_entry
from tfr_listbert.registry import DISTILLATION_LOSSES


class DistillationLoss(ListLoss):
    """A loss of a student's scores against a teacher's, in DISTILLATION_LOSSES.

    A teacher's score may be any number; TF-Ranking takes a label below 0 for padding. So each list is moved until the
    teacher's lowest score in it is 0, and the mask alone says what is padding.
    """

    @tf.autograph.experimental.do_not_convert
    def __call__(
        self,
        teacher_scores: tf.Tensor,
        scores: tf.Tensor,
        mask: tf.Tensor,
        document_keys: tf.Tensor,
        seed: tf.Tensor,
        weights: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the loss of each list; its padding and the rest of the batch do not change it.

        Args:
            teacher_scores: float [B, L], any finite numbers where `mask` is true.
            scores: float [B, L], the student's; computed with in float32.
            mask: bool [B, L], true for documents, false for padding; documents may stand in any slot.
            document_keys: int64 [B, L], different within a list; noise follows them.
            seed: int32 [2].
            weights: float [B, L], >= 0, the weight of each document; 1 when not given.

        Returns:
            float32 [B]; 0 for a list that is all padding.
        """
        has_documents = tf.reduce_any(mask, axis=1)
        teacher_scores = tf.cast(teacher_scores, tf.float32)
        lowest = tf.reduce_min(tf.where(mask, teacher_scores, tf.float32.max), axis=1, keepdims=True)
        lowest = tf.where(has_documents[:, tf.newaxis], lowest, 0.0)
        scores = tf.cast(scores, tf.float32)
        if not self.is_shift_invariant:
            scores -= lowest
        return self._compute(ListBatch.build(teacher_scores - lowest, scores, mask, document_keys, seed, weights))


def build_distillation_loss(key: str, options: Mapping[str, Any], setting: str = "loss") -> DistillationLoss:
    """Returns the distillation loss called `key`; arguments and errors as of `build_loss`."""
    return build_entry(DISTILLATION_LOSSES, key, options, setting)


@DISTILLATION_LOSSES.register("margin_mse_loss")
@dataclasses.dataclass(frozen=True)
class MarginMSELoss(DistillationLoss):
    """Mean of ((s_i - s_j) - (t_i - t_j))² over the list's triples (query, higher i, lower j) (ListBERT, eq. 13).

    Hofstätter et al. 2020, arXiv 2010.02666. The teacher says which document is the higher one; each triple weighs
    w_i w_j.

    Attributes:
        min_margin: pairs that the teacher tells apart by less are no triples. In lists that were widened by products
            that nobody judged, this decides what is a negative.

    Relations: on lists of two it is `mean_squared_loss` freed of the mean error, times 4.
    """

    pair_buffers: ClassVar[int] = 8
    min_margin: float = 0.0

    def __post_init__(self) -> None:
        """Checks the margin."""
        require(self.min_margin >= 0, "options.min_margin", "must be >= 0", self.min_margin)

    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]."""
        margins = lists.labels[:, :, tf.newaxis] - lists.labels[:, tf.newaxis, :]  # [B, L, L]
        own = lists.scores[:, :, tf.newaxis] - lists.scores[:, tf.newaxis, :]
        is_pair = lists.mask[:, :, tf.newaxis] & lists.mask[:, tf.newaxis, :]
        is_triple = is_pair & (margins > 0) & (margins >= self.min_margin)
        weights = lists.weights[:, :, tf.newaxis] * lists.weights[:, tf.newaxis, :]
        weights = tf.where(is_triple, weights, 0.0)
        errors = tf.where(is_triple, own - margins, 0.0)
        total = tf.reduce_sum(weights * tf.square(errors), axis=[1, 2])
        return tf.math.divide_no_nan(total, tf.math.count_nonzero(is_triple, axis=[1, 2], dtype=tf.float32))


@DISTILLATION_LOSSES.register("softmax_kl_loss")
@dataclasses.dataclass(frozen=True)
class SoftmaxKLLoss(DistillationLoss):
    """Listwise KL divergence T² sum_i p_i (log p_i - log q_i), p = softmax(t / T), q = softmax(s / T).

    Hinton et al. 2015, arXiv 1503.02531, over a list's documents in place of classes; T² keeps the gradient's size.
    Weights count as many copies of a document: they enter both softmaxes.

    Attributes:
        temperature: T.

    Relations: with T = 1 and equal weights its gradient is that of `list_net_loss` on the teacher's scores.
    """

    temperature: float = 1.0

    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]."""
        counts = tf.where(lists.weights > 0, tf.math.log(tf.maximum(lists.weights, 1e-30)), -1e9)
        teacher, own = (
            tf.nn.log_softmax(tf.where(lists.mask, values / self.temperature + counts, -1e9), axis=1)
            for values in (lists.labels, lists.scores)
        )
        # Without a weight, not even the softmax over -1e9 of a list of such documents may have a gradient
        differences = tf.where(lists.mask & (lists.weights > 0), teacher - own, 0.0)
        return self.temperature**2 * tf.reduce_sum(tf.exp(teacher) * differences, axis=1)


@DISTILLATION_LOSSES.register("coupled_rankdistil_loss")
@dataclasses.dataclass(frozen=True)
class TeacherRankDistilLoss(DistillationLoss, CoupledRankDistilLoss):
    """TF-Ranking's `CoupledRankDistilLoss` on the teacher's scores, for which it was made (Reddi et al. 2021).

    The likelihood, under the student, of rankings drawn from the teacher; options as in `losses/rank_distil.py`.
    """


@DISTILLATION_LOSSES.register("mean_squared_loss")
@dataclasses.dataclass(frozen=True)
class TeacherMeanSquaredLoss(DistillationLoss):
    """Mean of w_i (s_i - t_i)² over the list's documents: the student takes over the teacher's numbers themselves."""

    is_shift_invariant: ClassVar[bool] = False

    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]."""
        errors = tf.where(lists.mask, lists.scores - lists.labels, 0.0)
        total = tf.reduce_sum(lists.weights * tf.square(errors), axis=1)
        return tf.math.divide_no_nan(total, tf.math.count_nonzero(lists.mask, axis=1, dtype=tf.float32))
