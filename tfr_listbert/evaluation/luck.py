"""How much of a difference is the luck of runs? What seeds tell of it, and tests and intervals that reckon with it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

from tfr_listbert.evaluation.intervals import bootstrap_interval
from tfr_listbert.evaluation.resampling import draw_flips, draw_means, find_ends
from tfr_listbert.evaluation.significance import are_extreme, flip_sums, paired_randomization_test


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


def estimate_luck(losses: Sequence[Sequence[float]]) -> tuple[list[Luck], Luck]:
    """Returns the luck of a run of each loss, and that which they share, pooled over all that do not vary clearly more.

    Few seeds tell little of one loss, so all share the error mean square of a one-way analysis of variance. A loss that
    varies clearly more than the others together (F test, Bonferroni; the worst first) has no part in it, lest it hide
    their differences. It has its own luck, and so has each that seems to vary more, for a test that trusts a spread
    which is too small calls luck a difference.

    Args:
        losses: for each loss the mean metric of each of its runs; none for what is not trained.

    >>> lucks, shared = estimate_luck([[0.1, 0.3], [0.5, 0.7], []])
    >>> [(round(luck.deviation, 3), round(luck.degrees, 3)) for luck in [*lucks, shared]]
    [(0.141, 2.0), (0.141, 2.0), (0.0, 0.0), (0.141, 2.0)]
    """
    squares, degrees = _sum_squares(losses)
    pooled = set(squares)
    while outlier := _find_outlier(squares, degrees, pooled):
        pooled -= outlier
    shared = _pool(squares, degrees, pooled)
    own = {place: _pool(squares, degrees, {place}) for place in squares}
    alone = {
        place
        for place, luck in own.items()
        if place not in pooled or luck.deviation**2 > _OWN_FROM * shared.deviation**2
    }
    lucks = [Luck() if not len(runs) else own[place] if place in alone else shared for place, runs in enumerate(losses)]
    return lucks, shared


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


def paired_run_tests(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], lucks: Sequence[Luck], resamples: int, seed: int
) -> list[float]:
    """Returns of each pair the two-sided p-value of its means differing, for other queries and other runs.

    Flips of sign, as in `paired_randomization_test`, tell how much a mean moves with the queries; but all queries of a
    run share its luck, and no flip moves that. So each flip also draws luck: its deviation times Student's t of its
    degrees. What runs do to single queries is in both, in the flips and in the spread of the runs' means, so the test
    is careful: it tells equal losses apart less often than its level allows, and misses differences that a test with
    every run's values of every query would see. Two limits are known tests: where queries add nothing, two losses are
    told apart as by Welch's t test of their runs, if neither has a spread of its own; without luck it is the
    randomization test, and says nothing of other runs. In between it is an approximation, whose rate of false
    differences simulations bound, not a proof. It is never surer than without luck, as it would be of few queries,
    whose flips often equal what was observed.

    All pairs have the same flips: drawn for each pair anew, those of 190 pairs take ten times as long.

    Args:
        pairs: two metrics of each query, each the mean over the runs of one loss, of the same queries in all pairs.
        lucks: of the difference of the means, pair by pair, as `combine_luck` gives it.
        resamples: flips to draw, >= 1.
        seed: decides flips and luck.
    """
    if not pairs:
        return []
    differences = np.stack([first - second for first, second in pairs])
    drawn = np.stack([_draw_luck(luck, resamples, seed) for luck in lucks]) * differences.shape[1]
    differences = differences[:, differences.any(axis=0)]
    extreme, start = np.zeros([2, len(pairs)]), 0
    for part in draw_flips(differences.shape[1], resamples, seed) if differences.size else ():
        flipped = flip_sums(differences, part)  # [pairs, flips]
        lucky = flipped + drawn[:, start : start + len(part)]
        extreme += np.sum([are_extreme(flipped, differences), are_extreme(lucky, differences)], axis=-1)
        start += len(part)
    p_values = (1 + extreme) / (1 + resamples)
    for place, (pair, own) in enumerate(zip(pairs, differences, strict=True)):
        if np.count_nonzero(own) <= math.log2(resamples):  # so few that it is exact
            p_values[0, place] = paired_randomization_test(*pair, resamples, seed)
    has_luck = [luck.deviation > 0 for luck in lucks]
    return np.where(has_luck, p_values.max(axis=0), p_values[0]).tolist()


def paired_run_interval(a: np.ndarray, b: np.ndarray, luck: Luck, resamples: int, seed: int) -> tuple[float, float]:
    """Returns the 95 % interval of the mean of `a` less that of `b`, for other queries and other runs.

    Each resample of the queries also draws luck, as in `paired_run_tests`. It is an interval of this pair alone:
    nothing corrects it for the number of pairs.

    Args:
        a: metric of each query, mean over the runs of one loss.
        b: of the same queries in the same order, the other.
        luck: of the difference of the means, as `combine_luck` gives it.
        resamples: resamples to draw, >= 1.
        seed: decides queries and luck.

    Returns:
        Lower and upper end, by percentiles; both NaN for one query.
    """
    differences = a - b
    if luck.deviation == 0 or len(differences) == 1:
        return bootstrap_interval(differences, resamples, seed)
    return find_ends(draw_means(differences[np.newaxis], resamples, seed)[0] + _draw_luck(luck, resamples, seed))


def _draw_luck(luck: Luck, resamples: int, seed: int) -> np.ndarray:
    if luck.deviation == 0:
        return np.zeros(resamples)
    return np.random.default_rng([seed, 1]).standard_t(luck.degrees, resamples) * luck.deviation
