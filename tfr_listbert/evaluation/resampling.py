"""What tests and intervals draw of queries: flips of signs, and queries with replacement."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

CHUNK_NUMBERS = 2_000_000
"""Signs or queries held at once: 16 MB as float64."""
CONFIDENCE = 0.95
"""Share of the draws that every interval holds."""


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


def find_ends(draws: np.ndarray) -> tuple[float, float]:
    """Returns the percentiles of `draws` that have the share CONFIDENCE of them between them; NaN are left out."""
    edge = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(draws, [edge, 1 - edge])
    return float(low), float(high)
