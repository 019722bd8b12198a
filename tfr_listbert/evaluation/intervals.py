"""Bootstrap intervals over queries."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tfr_listbert.evaluation.resampling import check_pairs, check_resamples, check_values, draw_means, find_ends
from tfr_listbert.schema import InputError


def bootstrap_interval(
    values: Sequence[float], resamples: int, seed: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Returns the bootstrap interval of the mean over queries: percentiles of the means of resampled queries.

    Args:
        values: metric of each query.
        resamples: resamples to draw, >= 1.
        seed: decides them.
        confidence: share of the means inside the interval, between 0 and 1.

    Returns:
        Lower and upper end; both NaN for one query, which says nothing about others.

    Raises:
        InputError: for no query, a value that is not a finite number, or a confidence that is not between 0 and 1.
    """
    values = check_values(values, "values")
    check_resamples(resamples)
    if not 0 < confidence < 1:
        raise InputError(f"`confidence` must be between 0 and 1, got {confidence!r}.")
    if len(values) == 1:
        return float("nan"), float("nan")
    return find_ends(draw_means(values[np.newaxis], resamples, seed)[0], confidence)


def bootstrap_ratio(
    numerator: Sequence[float], denominator: Sequence[float], resamples: int, seed: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Returns the bootstrap interval of the ratio of two means over the same queries, resampled together.

    Args:
        numerator: a value of each query.
        denominator: another of the same queries in the same order; where a resample's mean is 0 the ratio is infinite.
        resamples: resamples to draw, >= 1.
        seed: decides them.
        confidence: share of the ratios inside the interval, between 0 and 1.

    Returns:
        Lower and upper end, by percentiles; both NaN for one query.

    Raises:
        InputError: as `bootstrap_interval`, and for different lengths.
    """
    first, second = check_pairs(numerator, denominator, ("numerator", "denominator"))
    if len(first) == 1:
        return float("nan"), float("nan")
    check_resamples(resamples)
    numerators, denominators = draw_means(np.stack([first, second]), resamples, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        return find_ends(numerators / denominators, confidence)


def list_ends(interval: tuple[float, float]) -> list[float | None]:
    """Returns the ends of an interval as JSON can hold them: None where there is none, as of one query."""
    return [end if math.isfinite(end) else None for end in interval]


def format_interval(ends: Sequence[float | None], form: str = ".4f") -> str:
    """Returns both ends, or a dash where there are none, as of one query.

    >>> format_interval((0.25, 0.5)), format_interval((math.nan, math.nan)), format_interval([None, None])
    ('0.2500 – 0.5000', '–', '–')
    """
    return "–" if any(end is None or math.isnan(end) for end in ends) else " – ".join(f"{end:{form}}" for end in ends)
