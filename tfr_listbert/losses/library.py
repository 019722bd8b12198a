"""TF-Ranking 0.5.5's losses, mended in one place: what it breaks, by how much, and what holds instead.

Its own code computes each loss; it is given lists in a form in which its faults cannot show. Four more mendings are in
the form itself: what is padding is said by a mask (`ListBatch.build`), scores are shifted (`ListBatch.shifted`), ties
follow the document (`ListBatch.sorted_by`), and so does noise (`ListBatch.with_gumbel_scores`).
"""

from __future__ import annotations

import tensorflow as tf
from tensorflow_ranking.python import losses_impl

from tfr_listbert.losses.list_batch import ListBatch

_NOTHING = -1e9  # a score whose exponential is 0 beside any other's; -inf would make NaN gradients


def sum_losses(loss: losses_impl._RankingLoss, lists: ListBatch, weights: tf.Tensor | None = None) -> tf.Tensor:
    """Returns the sum of a library loss within each list, float32 [B].

    Mends the reductions. The library's Keras losses average over all slots of the batch, empty ones too: 97 padded
    slots after a list of 3 took its pairwise logistic loss from 0.936 to 0.028 and its gradient to a 33rd, and a longer
    neighbour does the same. `compute_per_list` gives a mean and its divisor per list; their product is the sum.

    Args:
        loss: built without a temperature; `lists.scores` are scaled already.
        lists: the lists.
        weights: float32 [B, L] of the documents; None for losses that take one weight per list (`list_weights`).
    """
    losses, divisors = loss.compute_per_list(lists.labels, lists.scores, weights, lists.mask)
    return losses * divisors


def list_weights(lists: ListBatch) -> tf.Tensor:
    """Returns the weight of each list for losses that cannot weight documents, float32 [B]: sum(w·y) / sum(y).

    Mends the weights of lists whose labels are all 0: the library divides 0 by 0 and takes 0, so a ListMLE of 1.79
    becomes 0 as soon as weights of 1 are given. Here such a list has the mean weight of its documents.
    """
    labels = tf.where(lists.mask, lists.labels, 0.0)
    shares = tf.where(tf.reduce_any(labels > 0, axis=1, keepdims=True), labels, tf.cast(lists.mask, tf.float32))
    return tf.math.divide_no_nan(tf.reduce_sum(lists.weights * shares, axis=1), tf.reduce_sum(shares, axis=1))


def plackett_luce_terms(lists: ListBatch) -> tf.Tensor:
    """Returns -log P(document comes next | the documents before it are placed) of each slot, float32 [B, L].

    Mends ListMLE (and Coupled-RankDistil, which is built of the same terms). The library takes the log of a running sum
    of exponentials: for a perfect ranking with scores 50, 0, -50 that is log 0, the loss -inf and its gradient NaN. Its
    padding enters the sums as log 1e-10: 97 padded slots took a ListMLE of 2.46 to 352. A running log-sum-exp has
    neither fault.

    Args:
        lists: in the order whose likelihood is wanted, padding last (`ListBatch.sorted_by`).

    Returns:
        The terms; 0 in padding.
    """
    scores = tf.where(lists.mask, lists.scores, _NOTHING)
    remaining = tf.math.cumulative_logsumexp(scores, axis=1, reverse=True)
    return tf.where(lists.mask, remaining - scores, 0.0)


def mean_over_samples(losses: tf.Tensor, samples: int) -> tf.Tensor:
    """Returns the mean over the noisy copies of each list, float32 [B], from the losses of all copies [B·S].

    Mends the sum: under the library's reduction by sum `sample_size` would scale the loss and its gradient.
    """
    return tf.reduce_mean(tf.reshape(losses, [-1, samples]), axis=1)


def slot_ranks(labels: tf.Tensor) -> tf.Tensor:
    """Returns 1, 2, ... along each list, int32 [B, L]: the ranks in lists that are sorted."""
    return tf.broadcast_to(tf.range(tf.shape(labels)[1]) + 1, tf.shape(labels))


class SortedRanks:
    """Put before a lambda weight of the library: ranks are the slots of lists that are sorted by score.

    Mends the ranks. The library breaks ties in score by a shuffle of the slots that differs from call to call, and
    puts padding 1e-6 below the lowest score, which at scores near 50 is no distance in float32: a padded slot then
    takes a rank between documents. Lists given to these weights come from `ListBatch.sorted_by(scores)`.
    """

    def pair_weights(self, labels, ranks):
        """Returns the weight of each pair, float32 [B, L, L]; `ranks` are not used."""
        return super().pair_weights(labels, slot_ranks(labels))

    def individual_weights(self, labels, ranks):
        """Returns the weight of each document, float32 [B, L]; `ranks` are not used."""
        return super().individual_weights(labels, slot_ranks(labels))


class OwnListSize:
    """Put before a DCG lambda weight of the library: pairs are scaled by the list's own size.

    Mends the scale. The library multiplies by the padded size: 7 padded slots after a list of 3 take its LambdaLoss to
    10/3 of what it is alone.
    """

    def pair_weights(self, labels, ranks):
        """Returns the weight of each pair, float32 [B, L, L]."""
        size = tf.reduce_sum(tf.cast(labels >= 0, tf.float32), axis=1)
        padded_size = tf.cast(tf.shape(labels)[1], tf.float32)
        return super().pair_weights(labels, ranks) * (size / padded_size)[:, tf.newaxis, tf.newaxis]
