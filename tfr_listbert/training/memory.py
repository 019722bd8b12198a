"""How much memory a training step will take at its peak, said before it is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tfr_listbert.config import TrainConfig
from tfr_listbert.encoders.roberta import RobertaShape
from tfr_listbert.losses import DistillationLoss, RankingLoss

_FLOAT_BYTES = 4
_WEIGHT_COPIES = 6
"""Weights, two moments of AdamW, gradients, their clipped copy, and what the optimizer has under its hands."""


@dataclasses.dataclass(frozen=True)
class MemoryPlan:
    """Peak memory of a step by what takes it, in bytes.

    Attributes:
        weights: weights, gradients and optimizer.
        activations: of the encoder.
        loss: its pairs of documents.
    """

    weights: int
    activations: int
    loss: int

    @property
    def total(self) -> int:
        """The sum, in bytes; the process itself, some 0.6 GB with TensorFlow, comes on top."""
        return self.weights + self.activations + self.loss

    def describe(self) -> str:
        """Returns the plan in words.

        >>> MemoryPlan(10**8, 2 * 10**9, 0).describe()
        'Expected peak memory of a step: 2.10 GB (weights and optimizer 0.10, activations 2.00, loss 0.00).'
        """
        parts = (f"{value / 1e9:.2f}" for value in (self.total, self.weights, self.activations, self.loss))
        return "Expected peak memory of a step: {} GB (weights and optimizer {}, activations {}, loss {}).".format(
            *parts
        )


def plan_memory(
    settings: TrainConfig,
    shape: RobertaShape,
    vocabulary_size: int,
    losses: Sequence[RankingLoss | DistillationLoss],
    longest_list: int,
    longest_row: int,
    query_row: int = 0,
    encoders: int = 1,
    is_mean: bool = False,
) -> MemoryPlan:
    """Returns the peak memory of a step whose lists are all as long as the longest, and their rows too.

    Args:
        settings: how many lists a step has and how many tokens are in memory.
        shape: the encoder's.
        vocabulary_size: rows of the token embedding.
        losses: the losses that are added up.
        longest_list: documents of the longest training list.
        longest_row: tokens of the longest row.
        query_row: tokens of the longest row of a query; 0 where queries have no rows of their own.
        encoders: 2 for a student with one of its own for queries.
        is_mean: whether the mean of all tokens is taken, for which the last layer is computed for each.
    """
    list_tokens = longest_list * longest_row
    lists = settings.batch_lists or max(1, settings.batch_tokens // list_tokens)
    step_tokens = max(settings.batch_tokens or lists * list_tokens, list_tokens)
    tokens = min(step_tokens, settings.max_tokens_in_memory or step_tokens)
    at_once = min(lists, settings.micro_batch_lists or lists)
    queries = lists * query_row * count_token_bytes(shape, query_row, is_mean)
    return MemoryPlan(
        encoders * _WEIGHT_COPIES * _FLOAT_BYTES * count_weights(shape, vocabulary_size),
        queries + tokens * count_token_bytes(shape, longest_row, is_mean),
        sum(count_loss_bytes(loss, at_once, longest_list) for loss in losses),
    )


def count_weights(shape: RobertaShape, vocabulary_size: int) -> int:
    """Returns the number of the encoder's weights."""
    block = 4 * shape.width**2 + 2 * shape.width * shape.inner_width + 9 * shape.width + shape.inner_width
    return shape.layers * block + (vocabulary_size + shape.positions + 5) * shape.width


def count_token_bytes(shape: RobertaShape, row_tokens: int, is_mean: bool = False) -> int:
    """Returns the bytes of activations for a token: those kept for the gradient, and one layer's under work.

    A layer keeps of each token its input, query, key, value, scaled query, mixed values, two normalized sums and their
    dropout masks, of the feed-forward product its input, gate and output, and its attention to a row, with its mask and
    what is dropped of it. The last layer, computed for one token of a row, keeps key and value; where the mean of all
    tokens is taken (`is_mean`) it is as the others.
    """
    kept = 10 * shape.width + 3 * shape.inner_width + 3 * shape.heads * row_tokens
    under_work = 4 * shape.inner_width + 6 * shape.width + 3 * shape.heads * row_tokens
    last = kept if is_mean else 4 * shape.width
    return _FLOAT_BYTES * ((shape.layers - 1) * kept + last + under_work)


def count_loss_bytes(loss: RankingLoss | DistillationLoss, lists: int, list_size: int) -> int:
    """Returns the bytes of the L × L buffers that a loss holds for `lists` lists of `list_size` documents."""
    return _FLOAT_BYTES * loss.pair_buffers * lists * list_size**2
