"""Bootstrap intervals over queries."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tfr_listbert.evaluation.resampling import draw_means, find_ends


def bootstrap_interval(values: np.ndarray, resamples: int, seed: int) -> tuple[float, float]:
    """Returns the 95 % bootstrap interval of the mean over queries: percentiles of the means of resampled queries.

    Args:
        values: metric of each query, float [queries], of one at least.
        resamples: resamples to draw, >= 1.
        seed: decides them.

    Returns:
        Lower and upper end; both NaN for one query, which says nothing about others.
    """
    if len(values) == 1:
        return float("nan"), float("nan")
    return find_ends(draw_means(values[np.newaxis], resamples, seed)[0])


def bootstrap_ratio(numerator: np.ndarray, denominator: np.ndarray, resamples: int, seed: int) -> tuple[float, float]:
    """Returns the 95 % bootstrap interval of the ratio of two means over the same queries, resampled together.

    Args:
        numerator: a value of each query, float [queries].
        denominator: another of the same queries in the same order; where a resample's mean is 0 the ratio is infinite.
        resamples: resamples to draw, >= 1.
        seed: decides them.

    Returns:
        Lower and upper end, by percentiles; both NaN for one query.
    """
    if len(numerator) == 1:
        return float("nan"), float("nan")
    numerators, denominators = draw_means(np.stack([numerator, denominator]), resamples, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        return find_ends(numerators / denominators)


def list_ends(interval: tuple[float, float]) -> list[float | None]:
    """Returns the ends of an interval as JSON can hold them: None where there is none, as of one query."""
    return [end if math.isfinite(end) else None for end in interval]


def format_interval(ends: Sequence[float | None], form: str = ".4f") -> str:
    """Returns both ends, or a dash where there are none, as of one query.

    >>> format_interval((0.25, 0.5)), format_interval((math.nan, math.nan)), format_interval([None, None])
    ('0.2500 – 0.5000', '–', '–')
    """
    return "–" if any(end is None or math.isnan(end) for end in ends) else " – ".join(f"{end:{form}}" for end in ends)
