"""Parts of a split that are worth a look of their own: head and tail queries, seen and unseen, short and long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfr_listbert.schema import RankedList


def slice_lists(lists: Sequence[RankedList]) -> dict[str, np.ndarray]:
    """Returns which lists are in each slice, bool [number of lists], by the slice's name.

    Halves are cut at the median, what equals it being in the lower one. A pair of slices is left out where all lists
    would be in one of them, or what it asks for is not known: how often a query was searched, whether it was
    trained on.
    """
    is_seen = np.array([one.is_seen for one in lists])
    counts = np.array([one.query_count for one in lists])
    words = np.array([len(one.query.split()) for one in lists])
    lengths = np.array([len(one.documents) for one in lists])
    pairs = [
        ("seen in training", is_seen == 1, "unseen", is_seen == 0),
        *([("tail queries", *_halve(counts, "head queries"))] if (counts > 0).all() else []),
        ("short lists", *_halve(lengths, "long lists")),
        ("short queries", *_halve(words, "long queries")),
    ]
    slices = {"all": np.ones(len(lists), bool)}
    for first, is_first, second, is_second in pairs:
        if is_first.any() and is_second.any():
            slices |= {first: is_first, second: is_second}
    return slices


def _halve(values: np.ndarray, upper: str) -> tuple[np.ndarray, str, np.ndarray]:
    is_lower = values <= np.median(values)
    return is_lower, upper, ~is_lower
