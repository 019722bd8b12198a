"""What tests and intervals draw of queries: flips of signs, and queries with replacement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tfr_listbert.schema import InputError

CHUNK_NUMBERS = 2_000_000
"""Signs or queries held at once: 16 MB as float64."""


def draw_flips(count: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yields arrays of 0 and 1 (flip) with `count` columns, together `resamples` rows."""
    generator = np.random.default_rng(seed)
    rows = max(1, CHUNK_NUMBERS // count)
    for start in range(0, resamples, rows):
        bits = generator.integers(0, 256, (min(rows, resamples - start), -(-count // 8)), np.uint8)
        yield np.unpackbits(bits, axis=1, count=count).astype(np.float64)


def draw_means(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Returns the means [K, resamples] of `values` [K, queries] over queries drawn with replacement, all K together."""
    generator, means = np.random.default_rng(seed), []
    queries = values.shape[1]
    for start in range(0, resamples, rows := max(1, CHUNK_NUMBERS // queries)):
        drawn = generator.integers(0, queries, (min(rows, resamples - start), queries))
        means.append([one[drawn].mean(axis=1) for one in values])
    return np.concatenate(means, axis=1)


def find_ends(draws: np.ndarray, confidence: float) -> tuple[float, float]:
    """Returns the percentiles of `draws` that have the share `confidence` of them between them; NaN are left out."""
    edge = (1 - confidence) / 2
    low, high = np.nanquantile(draws, [edge, 1 - edge])
    return float(low), float(high)


def check_values(values: Sequence[float], name: str) -> np.ndarray:
    """Returns `values` as an array [queries], or raises an InputError unless they are one finite number per query."""
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise InputError(f"`{name}` must hold one value per query for at least one query, got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise InputError(f"`{name}` must hold finite numbers, got {array[~np.isfinite(array)][0]} as one of them.")
    return array


def check_pairs(
    a: Sequence[float], b: Sequence[float], names: tuple[str, str] = ("a", "b")
) -> tuple[np.ndarray, np.ndarray]:
    """Returns both as `check_values` does, or raises an InputError unless they are of equally many queries."""
    first, second = check_values(a, names[0]), check_values(b, names[1])
    if len(first) != len(second):
        raise InputError(f"A paired test needs the same queries for both, got {len(first)} and {len(second)}.")
    return first, second


def check_resamples(resamples: int) -> None:
    """Raises an InputError unless there is something to draw."""
    if resamples < 1:
        raise InputError(f"`resamples` must be >= 1, got {resamples!r}.")
