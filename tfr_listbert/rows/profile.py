"""What a model must know of the training rows before its first step."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import tensorflow as tf

from tfr_listbert.rows.buckets import choose_widths
from tfr_listbert.schema import InputError

SAMPLE_BATCHES = 64
"""Batches whose rows are measured: with 32 lists in each some 2,000 fix the widths; a start must not take long."""


@dataclasses.dataclass(frozen=True)
class RowProfile:
    """Widths and feature statistics of the training rows.

    Attributes:
        widths: widths to which rows are padded, ascending.
        feature_means: mean of each feature over the rows that have it; [F].
        feature_deviations: its standard deviation, 1 where it does not vary; [F].
    """

    widths: tuple[int, ...]
    feature_means: tuple[float, ...] = ()
    feature_deviations: tuple[float, ...] = ()


def measure_rows(dataset: tf.data.Dataset, features: tuple[str, ...], buckets: int, longest: int) -> RowProfile:
    """Returns the profile of the rows in `dataset`, of which the first `SAMPLE_BATCHES` batches fix the widths.

    Args:
        dataset: batches of `RowBatcher`; read to the end if there are features.
        features: their names, for messages.
        buckets: most widths.
        longest: most tokens that any row can have.

    Raises:
        InputError: if a feature is missing in every row.
    """
    lengths: collections.Counter[int] = collections.Counter()
    sums = np.zeros((3, len(features)))  # count, sum, sum of squares
    for number, batch in enumerate(dataset if features else dataset.take(SAMPLE_BATCHES)):
        if number < SAMPLE_BATCHES:
            lengths.update(batch["tokens"].row_lengths().numpy().tolist())
        values = batch["features"].numpy().astype(np.float64)
        sums += [np.sum(~np.isnan(values), axis=0), np.nansum(values, axis=0), np.nansum(values**2, axis=0)]
    for name, count in zip(features, sums[0], strict=True):
        if count == 0:
            raise InputError(f"The feature {name!r} of `model.features` has no value in any training row.")
    means = sums[1] / sums[0]
    deviations = np.sqrt(np.maximum(sums[2] / sums[0] - means**2, 0))
    deviations[deviations <= 1e-6 * np.sqrt(sums[2] / sums[0])] = 1  # of a constant; small values are none
    return RowProfile(choose_widths(lengths, buckets, longest), tuple(means.tolist()), tuple(deviations.tolist()))
