"""The lists that a loss sees: dense tensors in which padding holds fixed values, and the ways to rearrange them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from tfr_listbert.losses.document_noise import gumbel_noise, hash_documents
from tfr_listbert.schema import PADDING_LABEL


@dataclasses.dataclass(frozen=True, eq=False)
class ListBatch:
    """A batch of lists; what padding holds is fixed here, so that no loss can see what came in its slots.

    Attributes:
        labels: float32 [B, L], >= 0; PADDING_LABEL in padding.
        scores: float32 [B, L]; 0 in padding, through which no gradient flows.
        mask: bool [B, L], true for documents.
        weights: float32 [B, L]; 0 in padding.
        document_keys: int64 [B, L].
        seed: int32 [2].
    """

    labels: tf.Tensor
    scores: tf.Tensor
    mask: tf.Tensor
    weights: tf.Tensor
    document_keys: tf.Tensor
    seed: tf.Tensor

    @classmethod
    def build(cls, labels, scores, mask, document_keys, seed, weights=None) -> ListBatch:
        """Returns the batch in float32 with padding overwritten; see `RankingLoss.__call__` for the arguments."""
        labels = tf.where(mask, tf.cast(labels, tf.float32), 0.0)
        message = "A document's label must be >= 0: TF-Ranking takes a negative one for padding, without a word."
        with tf.control_dependencies([tf.debugging.assert_non_negative(labels, message)]):
            labels = tf.where(mask, labels, PADDING_LABEL)
        scores = tf.where(mask, tf.cast(scores, tf.float32), 0.0)
        weights = tf.ones_like(scores) if weights is None else tf.cast(weights, tf.float32)
        return cls(labels, scores, mask, tf.where(mask, weights, 0.0), tf.cast(document_keys, tf.int64), seed)

    def with_scores(self, scores: tf.Tensor) -> ListBatch:
        """Returns the same lists with other scores [B, L]; what they hold in padding is overwritten."""
        return dataclasses.replace(self, scores=tf.where(self.mask, scores, 0.0))

    def shifted(self) -> ListBatch:
        """Returns the lists with the highest score of each moved to 0: the same to a loss that is shift-invariant.

        Mends the library's padding, which enters softmaxes as a score of log 1e-10, about -23: beside documents scored
        near -40, 5 padded slots take a softmax loss from 5.22 to 56.8.
        """
        highest = tf.reduce_max(tf.where(self.mask, self.scores, tf.float32.min), axis=1, keepdims=True)
        return self.with_scores(self.scores - tf.stop_gradient(highest))

    def scaled(self, temperature: float) -> ListBatch:
        """Returns the lists with scores divided by the temperature."""
        return self.with_scores(self.scores / temperature)

    def sorted_by(self, values: tf.Tensor) -> ListBatch:
        """Returns the lists ordered by `values` [B, L], highest first; padding comes last.

        Ties are broken by a hash of document key and seed: at random over steps, and the same wherever a document
        stands. Mends the library's shuffle of slots, with which the order of documents changes gradients.
        """
        hashes = tf.where(self.mask, hash_documents(self.document_keys, self.seed), tf.int64.max)
        order = tf.argsort(hashes, axis=1)
        ranked = tf.gather(tf.where(self.mask, values, -float("inf")), order, batch_dims=1)
        by_value = tf.argsort(ranked, axis=1, direction="DESCENDING", stable=True)
        order = tf.gather(order, by_value, batch_dims=1)
        return self._mapped(lambda tensor: tf.gather(tensor, order, batch_dims=1))

    def with_document(self, label: float, score: float) -> ListBatch:
        """Returns the lists with one more document each, in a last slot, of weight 1."""
        values = {"labels": label, "scores": score, "mask": True, "weights": 1.0, "document_keys": 0}
        size = [tf.shape(self.mask)[0], 1]
        return dataclasses.replace(
            self,
            **{
                name: tf.concat([getattr(self, name), tf.fill(size, tf.cast(value, getattr(self, name).dtype))], axis=1)
                for name, value in values.items()
            },
        )

    def with_gumbel_scores(self, samples: int, temperature: float) -> ListBatch:
        """Returns B·S lists, S noisy copies of each one after the other: (score + Gumbel noise) / temperature.

        Mends the library's noise, drawn by slot, with which padding and the order of documents change gradients. Its
        sampler also ends in log(softmax + 1e-20), which ties all scores more than 46 below the highest.
        """
        repeated = self.repeated(samples)
        noise = tf.reshape(gumbel_noise(self.document_keys, self.seed, samples), tf.shape(repeated.scores))
        return repeated.with_scores((repeated.scores + noise) / temperature)

    def repeated(self, samples: int) -> ListBatch:
        """Returns B·S lists: each list S times, one after the other."""
        return self._mapped(lambda tensor: tf.repeat(tensor, samples, axis=0))

    def _mapped(self, change: Callable[[tf.Tensor], tf.Tensor]) -> ListBatch:
        names = ("labels", "scores", "mask", "weights", "document_keys")
        return dataclasses.replace(self, **{name: change(getattr(self, name)) for name in names})
