"""What every loss is: a frozen dataclass of its options that turns scored lists into one loss per list."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow as tf

from tfr_listbert.config import build_dataclass, require
from tfr_listbert.losses.list_batch import ListBatch
from tfr_listbert.registry import LOSSES, Registry
from tfr_listbert.schema import InputError

_REFUSED = {
    "ordinal_loss": "it wants one score per grade and document, and a ranker here has one score per document; "
    "use `sigmoid_cross_entropy_loss` for a pointwise loss",
}
"""Losses of TF-Ranking that cannot work here, and why."""


class ListLoss(abc.ABC):
    """A loss of scored lists. Its subclasses are frozen dataclasses; their fields are the options of a config.

    Attributes:
        is_shift_invariant: the same number added to all scores of a list changes nothing.
        pair_buffers: buffers of L × L numbers that it and its gradient hold at once for a list of L documents.
    """

    is_shift_invariant: ClassVar[bool] = True
    pair_buffers: ClassVar[int] = 0

    def __post_init__(self) -> None:
        """Checks the temperature, if the loss has one."""
        temperature = getattr(self, "temperature", 1.0)
        require(temperature > 0, "options.temperature", "must be > 0", temperature)

    @abc.abstractmethod
    def list_losses(self, lists: ListBatch) -> tf.Tensor:
        """Returns the loss of each list, float32 [B]; what it gives for a list that is all padding is not used."""

    def _compute(self, lists: ListBatch) -> tf.Tensor:
        losses = self.list_losses(lists.shifted() if self.is_shift_invariant else lists)
        return tf.where(tf.reduce_any(lists.mask, axis=1), losses, 0.0)


class RankingLoss(ListLoss):
    """A loss of labels, in LOSSES."""

    @tf.autograph.experimental.do_not_convert  # nothing here branches on a tensor; converting takes up to 3 s a trace
    def __call__(
        self,
        labels: tf.Tensor,
        scores: tf.Tensor,
        mask: tf.Tensor,
        document_keys: tf.Tensor,
        seed: tf.Tensor,
        weights: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the loss of each list, a sum over the list that its padding and the rest of the batch do not change.

        Args:
            labels: float [B, L]; >= 0 where `mask` is true.
            scores: float [B, L] of any precision; computed with in float32.
            mask: bool [B, L], true for documents, false for padding; documents may stand in any slot.
            document_keys: int64 [B, L], different within a list; noise and the order of ties follow them.
            seed: int32 [2]; the same seed gives the same noise and the same order of ties.
            weights: float [B, L], >= 0, the weight of each document; 1 when not given. Each loss says how it uses them.

        Returns:
            float32 [B]; 0 for a list that is all padding.

        Raises:
            tf.errors.InvalidArgumentError: when the graph runs, for a document's label below 0.
        """
        return self._compute(ListBatch.build(labels, scores, mask, document_keys, seed, weights))


def build_loss(key: str, options: Mapping[str, Any], setting: str = "loss") -> RankingLoss:
    """Returns the loss called `key`.

    Args:
        key: a name in LOSSES: the keys of TF-Ranking, and ours.
        options: its options as YAML gives them, e.g. `{"temperature": 1.0}`; what is left out has its default.
        setting: the place in the config that asks for the loss, for messages.

    Raises:
        InputError: for an unknown loss or option, with the nearest known name; for an option that this loss would not
            read; for a value that breaks its rule.
    """
    if key in _REFUSED:
        raise InputError(f"`{setting}` cannot be {key}: {_REFUSED[key]}.")
    return build_entry(LOSSES, key, options, setting)


def build_entry(registry: Registry, key: str, options: Mapping[str, Any], setting: str) -> Any:
    """Returns the loss called `key` in a registry of dataclasses; arguments and errors as of `build_loss`."""
    cls = registry.get(key, setting)
    try:
        return build_dataclass(cls, options, "options")
    except InputError as error:
        raise InputError(f"`{setting}` is {key}: {error}") from None
