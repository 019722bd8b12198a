"""Widths to which rows are padded, chosen from the lengths that the data has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def choose_widths(lengths: Mapping[int, int], buckets: int, longest: int) -> tuple[int, ...]:
    """Returns at most `buckets` widths that leave the fewest padded tokens.

    A dynamic programme over the histogram: the best k widths that end at length j are the best k - 1 widths that end at
    some shorter i, and j. The work of a row is close to linear in its width at such lengths: tokens are the cost.

    Args:
        lengths: number of rows by length in tokens.
        buckets: most widths.
        longest: most tokens that any row can have; the last width.

    >>> choose_widths({10: 100, 11: 5, 40: 100}, 2, 64)
    (11, 64)
    """
    ends = np.array(sorted({*lengths, longest}))
    counts = np.array([lengths.get(int(end), 0) for end in ends])
    total = np.concatenate([[0], np.cumsum(counts)])  # rows of the first i lengths
    choice = np.zeros((buckets, len(ends)), int)
    best = total[1:] * ends.astype(float)  # one width that ends at each length
    for bucket in range(1, buckets):
        # candidates[i, j]: lengths up to i as before, those from i + 1 to j padded to ends[j]
        candidates = best[:, None] + (total[None, 1:] - total[1:, None]) * ends[None, :]
        candidates[np.tril_indices(len(ends))] = np.inf
        candidates = np.vstack([best, candidates])
        keeps = candidates.argmin(axis=0)
        choice[bucket] = keeps - 1
        best = candidates[keeps, np.arange(len(ends))]
    return tuple(int(ends[index]) for index in _walk_back(choice, len(ends) - 1))


def _walk_back(choice: np.ndarray, last: int) -> list[int]:
    chosen = [last]
    for bucket in range(len(choice) - 1, 0, -1):
        before = choice[bucket, chosen[0]]
        if before >= 0:  # -1: fewer buckets serve as well
            chosen.insert(0, int(before))
    return chosen
