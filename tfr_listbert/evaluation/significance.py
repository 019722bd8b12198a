"""Is the difference of two rankers more than chance? Tests and intervals over queries, and over runs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

from tfr_listbert.schema import InputError

LEVEL = 0.05
"""p-value below which a difference counts as proven, wherever one is spoken of."""

_CHUNK_NUMBERS = 2_000_000  # signs or draws held at once: 16 MB as float64


def paired_randomization_test(a: Sequence[float], b: Sequence[float], resamples: int, seed: int) -> float:
    """Returns the two-sided p-value of the mean of `a` differing from that of `b`, by flips of the sign of a - b.

    Fisher's randomization test, as Smucker et al. (CIKM 2007) recommend for metrics of queries. Exact when all flips
    together are no more than `resamples`; else p is (1 + flips at least as extreme) / (1 + resamples), never 0.
    Queries without a difference change nothing and are left out. One query, or none that differs, gives 1. SciPy's
    `permutation_test` gives the same; 10,000 flips of 1,500 queries take it 2.0 s at best, here 0.04 s.

    Args:
        a: metric of each query, one ranker.
        b: of the same queries in the same order, the other ranker.
        resamples: flips to draw, >= 1.
        seed: decides the flips.

    Raises:
        InputError: for different lengths, no query, or a value that is not a finite number.
    """
    first, second = _check_values(a, "a"), _check_values(b, "b")
    _check_pairs(first, second)
    _check_resamples(resamples)
    differences = first - second
    differences = differences[differences != 0]
    # Sums that are equal but for rounding must count as equal.
    threshold = abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    is_exact = 2 ** len(differences) <= resamples
    flips = _all_flips(len(differences)) if is_exact else _random_flips(len(differences), resamples, seed)
    extreme = sum(int(np.sum(np.abs(differences.sum() - 2 * (part @ differences)) >= threshold)) for part in flips)
    return extreme / 2 ** len(differences) if is_exact else (1 + extreme) / (1 + resamples)


def _all_flips(count: int) -> Iterator[np.ndarray]:
    """Yields arrays of 0 and 1 (flip) with `count` columns, together 2^count rows."""
    rows = _CHUNK_NUMBERS // max(1, count)
    for start in range(0, 2**count, rows):
        yield (np.arange(start, min(start + rows, 2**count))[:, np.newaxis] >> np.arange(count)) & 1


def _random_flips(count: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yields arrays of 0 and 1 (flip) with `count` columns, together `resamples` rows."""
    generator = np.random.default_rng(seed)
    rows = max(1, _CHUNK_NUMBERS // count)
    for start in range(0, resamples, rows):
        bits = generator.integers(0, 256, (min(rows, resamples - start), -(-count // 8)), np.uint8)
        yield np.unpackbits(bits, axis=1, count=count).astype(np.float64)


class Share(NamedTuple):
    """What the runs of one loss add to an estimate of luck.

    Attributes:
        loss: place of the loss.
        variance: its part of the variance.
        degrees: degrees of freedom of what that loss's own runs tell.
    """

    loss: int
    variance: float
    degrees: int


@dataclasses.dataclass(frozen=True)
class Luck:
    """How much a metric moves with the luck of a run: initial weights, order of batches.

    Attributes:
        shares: the estimate, as a sum over losses; none where nothing is known.
    """

    shares: tuple[Share, ...] = ()

    @property
    def deviation(self) -> float:
        """Standard deviation, of a run's mean metric or of a difference of means; 0 where nothing is known."""
        return math.sqrt(sum(share.variance for share in self.shares))

    @property
    def degrees(self) -> float:
        """Degrees of freedom of that estimate, Welch and Satterthwaite's; 0 where nothing is known."""
        squares = sum(share.variance**2 / share.degrees for share in self.shares)
        return self.deviation**4 / squares if squares else 0.0


_OUTLIER_LEVEL = 0.05  # of the F test, for all losses together
_OWN_FROM = 2.0
"""A loss whose runs vary by more than this, times the pooled variance, is tested with a variance of its own.

Simulated without a part of queries, 4,000 experiments each of 2 to 12 losses, 2 or 3 seeds, runs of one, two or half of
the losses up to ten times as wild: with it any pair of equals is told apart in at most 5.8 % of experiments, with 3.0
in up to 7.9 %, by the F test alone in up to 21 %. The price: of two losses five deviations of a run apart, among four
of three seeds, it tells 76 % apart, the F test alone 96 %, Welch's test 64 %; at eight deviations 93, 99 and 95 %.
"""


def estimate_luck(losses: Sequence[Sequence[float]]) -> list[Luck]:
    """Returns the luck of a run of each loss: pooled over all losses, but for those that seem to vary more.

    Few seeds tell little of one loss, so all share the error mean square of a one-way analysis of variance. A loss that
    varies clearly more than the others together (F test, Bonferroni; the worst first) has no part in it, lest it hide
    their differences. It has its own luck, and so has each that seems to vary more, for a test that trusts a spread
    which is too small calls luck a difference.

    Args:
        losses: for each loss the mean metric of each of its runs; none for what is not trained.

    >>> [(round(luck.deviation, 3), round(luck.degrees, 3)) for luck in estimate_luck([[0.1, 0.3], [0.5, 0.7], []])]
    [(0.141, 2.0), (0.141, 2.0), (0.0, 0.0)]
    """
    squares, degrees = _sum_squares(losses)
    shared = share_luck(losses)
    pooled = {share.loss for share in shared.shares}
    own = {place: _pool(squares, degrees, {place}) for place in squares}
    alone = {
        place
        for place, luck in own.items()
        if place not in pooled or luck.deviation**2 > _OWN_FROM * shared.deviation**2
    }
    return [Luck() if not len(runs) else own[place] if place in alone else shared for place, runs in enumerate(losses)]


def share_luck(losses: Sequence[Sequence[float]]) -> Luck:
    """Returns the luck of a run that all losses share but those that vary clearly more, as `estimate_luck` pools it."""
    squares, degrees = _sum_squares(losses)
    pooled = set(squares)
    while outlier := _find_outlier(squares, degrees, pooled):
        pooled -= outlier
    return _pool(squares, degrees, pooled)


def _sum_squares(losses: Sequence[Sequence[float]]) -> tuple[dict[int, float], dict[int, int]]:
    """Returns the sum of squares around the mean, and the degrees of freedom, of each loss of two runs or more."""
    squares = {place: float(np.var(runs) * len(runs)) for place, runs in enumerate(losses) if len(runs) > 1}
    return squares, {place: len(losses[place]) - 1 for place in squares}


def _find_outlier(squares: Mapping[int, float], degrees: Mapping[int, int], pooled: set[int]) -> set[int]:
    if len(pooled) < 2:
        return set()
    worst = max(pooled, key=lambda place: squares[place] / degrees[place])
    own, others = _pool(squares, degrees, {worst}), _pool(squares, degrees, pooled - {worst})
    if own.deviation == 0:
        return set()
    ratio = (own.deviation / others.deviation) ** 2 if others.deviation else math.inf
    p = scipy.stats.f.sf(ratio, degrees[worst], sum(degrees[place] for place in pooled - {worst}))
    return {worst} if p <= _OUTLIER_LEVEL / len(squares) else set()


def _pool(squares: Mapping[int, float], degrees: Mapping[int, int], places: set[int]) -> Luck:
    total = sum(degrees[place] for place in places)
    return Luck(tuple(Share(place, squares[place] / total, degrees[place]) for place in sorted(places)))


def combine_luck(a: Luck, b: Luck, runs: tuple[int, int]) -> Luck:
    """Returns the luck of the difference of two means over `runs` runs each.

    What both owe to the runs of the same loss is one estimate, not two.

    Args:
        a: of one run of the first.
        b: of one run of the second.
        runs: their numbers; 0 for what is not trained.
    """
    shares: dict[int, Share] = {}
    for luck, count in zip((a, b), runs, strict=True):
        for share in luck.shares if count else ():
            before = shares[share.loss].variance if share.loss in shares else 0.0
            shares[share.loss] = share._replace(variance=before + share.variance / count)
    return Luck(tuple(shares.values()))


def paired_run_test(a: Sequence[float], b: Sequence[float], luck: Luck, resamples: int, seed: int) -> float:
    """Returns the two-sided p-value of the mean of `a` differing from that of `b`, for other queries and other runs.

    Flips of sign, as in `paired_randomization_test`, tell how much the mean moves with the queries; but all queries of
    a run share its luck, and no flip moves that. So each flip also draws luck: its deviation times Student's t of its
    degrees. Two limits are known tests: where queries add nothing, two losses are told apart as by Welch's t test of
    their runs, if neither has a spread of its own; without luck it is the randomization test, and says nothing of
    other runs. In between it is an approximation, whose rate of false differences simulations bound, not a proof. It
    is never surer than without luck, as it would be of few queries, whose flips often equal what was observed.

    Args:
        a: metric of each query, mean over the runs of one loss.
        b: of the same queries in the same order, the other.
        luck: of the difference of the means, as `combine_luck` gives it.
        resamples: flips to draw, >= 1.
        seed: decides flips and luck.

    Raises:
        InputError: as `paired_randomization_test`.
    """
    without_luck = paired_randomization_test(a, b, resamples, seed)
    if luck.deviation == 0:
        return without_luck
    differences = _check_values(a, "a") - _check_values(b, "b")
    drawn = _draw_luck(luck, resamples, seed) * len(differences)
    flips = _random_flips(len(differences), resamples, seed)
    flipped = np.concatenate([differences.sum() - 2 * (part @ differences) for part in flips])
    extreme = np.sum(np.abs(flipped + drawn) >= abs(differences.sum()))
    return max(float((1 + extreme) / (1 + resamples)), without_luck)


def paired_run_interval(
    a: Sequence[float], b: Sequence[float], luck: Luck, resamples: int, seed: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Returns the interval of the mean of `a` less that of `b`, for other queries and other runs.

    Each resample of the queries also draws luck, as in `paired_run_test`. It is an interval of this pair alone: nothing
    corrects it for the number of pairs.

    Args:
        a: metric of each query, mean over the runs of one loss.
        b: of the same queries in the same order, the other.
        luck: of the difference of the means, as `combine_luck` gives it.
        resamples: resamples to draw, >= 1.
        seed: decides queries and luck.
        confidence: share of the differences inside the interval, between 0 and 1.

    Returns:
        Lower and upper end, by percentiles; both NaN for one query.

    Raises:
        InputError: as `paired_randomization_test`.
    """
    first, second = _check_values(a, "a"), _check_values(b, "b")
    _check_pairs(first, second)
    if luck.deviation == 0 or len(first) == 1:
        return bootstrap_interval(first - second, resamples, seed, confidence)
    _check_resamples(resamples)
    differences, generator = first - second, np.random.default_rng(seed)
    rows = max(1, _CHUNK_NUMBERS // len(differences))
    sizes = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    means = [
        differences[generator.integers(0, len(differences), (size, len(differences)))].mean(axis=1) for size in sizes
    ]
    drawn = np.concatenate(means) + _draw_luck(luck, resamples, seed)
    edge = (1 - confidence) / 2
    low, high = np.quantile(drawn, [edge, 1 - edge])
    return float(low), float(high)


def _draw_luck(luck: Luck, resamples: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, 1]).standard_t(luck.degrees, resamples) * luck.deviation


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
    values = _check_values(values, "values")
    _check_resamples(resamples)
    if not 0 < confidence < 1:
        raise InputError(f"`confidence` must be between 0 and 1, got {confidence!r}.")
    if len(values) == 1:
        return float("nan"), float("nan")
    interval = scipy.stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=resamples,
        batch=max(1, _CHUNK_NUMBERS // len(values)),
        confidence_level=confidence,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


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
    first, second = _check_values(numerator, "numerator"), _check_values(denominator, "denominator")
    _check_pairs(first, second)
    if len(first) == 1:
        return float("nan"), float("nan")
    _check_resamples(resamples)
    generator, ratios = np.random.default_rng(seed), []
    for start in range(0, resamples, rows := max(1, _CHUNK_NUMBERS // len(first))):
        drawn = generator.integers(0, len(first), (min(rows, resamples - start), len(first)))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios.append(first[drawn].mean(axis=1) / second[drawn].mean(axis=1))
    edge = (1 - confidence) / 2
    low, high = np.nanquantile(np.concatenate(ratios), [edge, 1 - edge])
    return float(low), float(high)


def list_ends(interval: tuple[float, float]) -> list[float | None]:
    """Returns the ends of an interval as JSON can hold them: None where there is none, as of one query."""
    return [None if math.isnan(end) else end for end in interval]


def format_interval(ends: Sequence[float | None], form: str = ".4f") -> str:
    """Returns both ends, or a dash where there are none, as of one query.

    >>> format_interval((0.25, 0.5)), format_interval((math.nan, math.nan)), format_interval([None, None])
    ('0.2500 – 0.5000', '–', '–')
    """
    return "–" if None in ends or math.isnan(ends[0]) else " – ".join(f"{end:{form}}" for end in ends)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Returns p-values adjusted for their number (Holm, 1979), in the order given: reject where one is <= the level.

    The r-th smallest of m is multiplied by m - r + 1; none becomes smaller than one before it, or larger than 1.

    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]

    Raises:
        InputError: for a value that is not between 0 and 1.
    """
    p_values = np.asarray(p_values, np.float64)
    if not np.all((p_values >= 0) & (p_values <= 1)):
        raise InputError(f"A p-value must be between 0 and 1, got {p_values.tolist()}.")
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * factors))
    return adjusted


def compact_letters(differs: np.ndarray) -> list[str]:
    """Returns letters for each of n systems: two share one if and only if they cannot be told apart.

    Insert and absorb, after Piepho, "An algorithm for a letter-based representation of all-pairwise comparisons"
    (2004). Systems that come first take the first letters, so give them by falling mean.

    Args:
        differs: bool [n, n], symmetric: whether two systems differ.

    >>> a_beats_c_alone = np.array([[0, 0, 1], [0, 0, 0], [1, 0, 0]], bool)
    >>> compact_letters(a_beats_c_alone)
    ['a', 'ab', 'b']
    """
    groups = [frozenset(range(len(differs)))]
    for first, second in np.argwhere(np.triu(differs, 1)).tolist():
        split = [group - {one} for group in groups if {first, second} <= group for one in (second, first)]
        kept = {group for group in groups if not {first, second} <= group} | set(split)
        groups = [group for group in kept if not any(group < other for other in kept)]
    groups.sort(key=sorted)
    return [
        "".join(_letter(number) for number, group in enumerate(groups) if one in group) for one in range(len(differs))
    ]


def _letter(number: int) -> str:
    """Returns a to z, then a1 to z1 and so on."""
    return chr(ord("a") + number % 26) + (str(number // 26) if number >= 26 else "")


def _check_pairs(a: np.ndarray, b: np.ndarray) -> None:
    if len(a) != len(b):
        raise InputError(f"A paired test needs the same queries for both, got {len(a)} and {len(b)}.")


def _check_values(values: Sequence[float], name: str) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise InputError(f"`{name}` must hold one value per query for at least one query, got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise InputError(f"`{name}` must hold finite numbers, got {array[~np.isfinite(array)][0]} as one of them.")
    return array


def _check_resamples(resamples: int) -> None:
    if resamples < 1:
        raise InputError(f"`resamples` must be >= 1, got {resamples!r}.")
