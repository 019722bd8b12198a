"""How much memory a training will take at its peak, said before its first step.

The constants and `count_token_bytes` are fitted to peaks of processes on Linux (`python -m benchmarks.memory` shows how
well): 2, 4 and 6 layers, widths of 256 and 512, rows of 16 to 128 tokens in one width or five, 4,096 to 16,384 tokens
at a time.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from tfr_listbert.config import TrainConfig
from tfr_listbert.encoders.shapes import RobertaShape
from tfr_listbert.losses import DistillationLoss, RankingLoss

_FLOAT_BYTES = 4
_WEIGHT_COPIES = 7
"""Weights, two moments of AdamW, gradients and their sum, the clipped copy, and what the optimizer works on."""
_PROCESS_BYTES = 730_000_000
"""TensorFlow and the libraries (560 MB), and the graph of a step apart from the layers."""
_LAYER_GRAPH_BYTES = 83_000_000
"""The graph of a layer and its gradient, and the kernels that oneDNN compiles for it; hardly more for many widths."""


@dataclasses.dataclass(frozen=True)
class MemoryPlan:
    """Peak memory of a training by what takes it, in bytes.

    Attributes:
        process: TensorFlow itself and the step's graph.
        weights: weights, gradients and optimizer.
        activations: of the encoder.
        loss: its pairs of documents.
        scoring: activations while validation lists are scored, when no step's are there.
    """

    process: int
    weights: int
    activations: int
    loss: int
    scoring: int = 0

    @property
    def total(self) -> int:
        """The peak, in bytes: that of the whole process, but for buffers of lists that are read ahead."""
        return self.process + self.weights + max(self.activations + self.loss, self.scoring)

    def describe(self) -> str:
        """Returns the plan in words.

        >>> MemoryPlan(10**9, 10**8, 2 * 10**9, 0).describe()
        'Expected peak memory: 3.10 GB (TensorFlow 1.00, weights and optimizer 0.10, activations 2.00, loss 0.00).'
        >>> MemoryPlan(10**9, 10**8, 2 * 10**9, 0, 3 * 10**9).describe()
        'Expected peak memory: 4.10 GB (TensorFlow 1.00, weights and optimizer 0.10, validation lists 3.00; fewer at a
        time: `evaluate.batch_lists`).'
        """
        total, process, weights, activations, loss, scoring = (
            f"{part / 1e9:.2f}" for part in (self.total, *dataclasses.astuple(self))
        )
        most = f"activations {activations}, loss {loss}"
        if self.scoring > self.activations + self.loss:
            most = f"validation lists {scoring}; fewer at a time: `evaluate.batch_lists`"
        return f"Expected peak memory: {total} GB (TensorFlow {process}, weights and optimizer {weights}, {most})."


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
    pairs: int | None = None,
    scored_documents: int = 0,
) -> MemoryPlan:
    """Returns the peak memory of a training with a step whose lists are all as long as the longest, and their rows too.

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
        pairs: most pairs of documents, padding included, in the lists of a step; of lists as long as the longest when
            empty.
        scored_documents: most documents of a batch of validation lists.
    """
    list_tokens = longest_list * longest_row
    lists = settings.batch_lists or max(1, settings.batch_tokens // list_tokens)
    step_tokens = max(settings.batch_tokens or lists * list_tokens, list_tokens)
    tokens = min(step_tokens, settings.max_tokens_in_memory or step_tokens)
    at_once = min(lists, settings.micro_batch_lists or lists)
    pairs = at_once * longest_list**2 if pairs is None else pairs
    queries = lists * query_row * count_token_bytes(shape, query_row, is_mean)
    return MemoryPlan(
        _PROCESS_BYTES + encoders * shape.layers * _LAYER_GRAPH_BYTES,
        encoders * _WEIGHT_COPIES * _FLOAT_BYTES * count_weights(shape, vocabulary_size),
        queries + tokens * count_token_bytes(shape, longest_row, is_mean),
        sum(_FLOAT_BYTES * loss.pair_buffers * pairs for loss in losses),
        min(scored_documents * longest_row, settings.max_tokens_in_memory or math.inf) * count_scoring_bytes(shape),
    )


def count_scoring_bytes(shape: RobertaShape) -> int:
    """Returns the bytes of activations for a token that is scored: two matrices of each of a layer's widths."""
    return _FLOAT_BYTES * 2 * (shape.width + shape.inner_width)


def count_weights(shape: RobertaShape, vocabulary_size: int) -> int:
    """Returns the number of the encoder's weights."""
    block = 4 * shape.width**2 + 2 * shape.width * shape.inner_width + 9 * shape.width + shape.inner_width
    return shape.layers * block + (vocabulary_size + shape.positions + 5) * shape.width


def count_token_bytes(shape: RobertaShape, row_tokens: int, is_mean: bool = False) -> int:
    """Returns the bytes of activations for a token: those kept for the gradient, and one layer's under work.

    A layer keeps of each token its query, key, value and scaled query, its mixed values and two normalized sums, of the
    feed-forward product its input, gate and output, and its attention to a row, with its mask and what is dropped of
    it. The last layer, computed for one token of a row, keeps key and value; where the mean of all tokens is taken
    (`is_mean`) it is as the others.
    """
    kept = 7 * shape.width + 3 * shape.inner_width + 3 * shape.heads * row_tokens
    under_work = shape.width + 2 * shape.inner_width
    last = kept if is_mean else 4 * shape.width
    return _FLOAT_BYTES * ((shape.layers - 1) * kept + last + under_work)
