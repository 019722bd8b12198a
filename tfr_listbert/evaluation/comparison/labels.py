"""Whether the labels of the training lists are what a loss is made for."""

from __future__ import annotations

from collections.abc import Iterable

from tfr_listbert.config import require
from tfr_listbert.evaluation.comparison.plan import Row
from tfr_listbert.lists.elwc import read_lists

_SAME_ON_BINARY = {"rank_net_loss": "pairwise_logistic_loss"}
"""Losses for grades, and what they are on labels of 0 and 1."""


def read_labels(folders: Iterable[str]) -> frozenset[float]:
    """Returns all labels of the training lists in `folders`."""
    return frozenset(
        document.label for lists in folders for one in read_lists(lists, "train") for document in one.documents
    )


def check_labels(row: Row, labels: frozenset[float]) -> str:
    """Returns a mark for a loss that these labels reduce to another one, or "".

    Raises:
        InputError: if the loss would take the labels for something that they are not.
    """
    is_binary = labels <= {0.0, 1.0}
    if row.entry.loss == "sigmoid_cross_entropy_loss":
        highest = row.entry.options.get("max_label", 1.0)
        setting = f"compare.losses ({row.name}).options.max_label"
        require(highest >= max(labels), setting, f"must be >= {max(labels):g}, the highest label", highest)
        require(not is_binary or highest == 1, setting, "must be 1: the labels are 0 and 1 alone", highest)
    if is_binary and row.entry.loss in _SAME_ON_BINARY:
        return f"needs grades: on labels of 0 and 1 it equals {_SAME_ON_BINARY[row.entry.loss]}"
    return ""
