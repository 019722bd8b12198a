"""Who leads, by how much, and who cannot be told apart."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from tfr_listbert.config import RANDOM
from tfr_listbert.evaluation.comparison.results import System
from tfr_listbert.evaluation.intervals import bootstrap_interval
from tfr_listbert.evaluation.luck import Luck, combine_luck, estimate_luck, paired_run_interval, paired_run_tests
from tfr_listbert.evaluation.significance import LEVEL, compact_letters, holm

_TIE = 1e-9  # metrics of the same ranking may differ by rounding
_UNKNOWN = (float("nan"), float("nan"))


@dataclasses.dataclass(frozen=True)
class Standing:
    """A system's place.

    Attributes:
        system: the system.
        mean: of the metric, over runs and queries.
        deviation: standard deviation of the mean of a run over runs; NaN for less than two.
        interval: 95 % bootstrap interval of the mean over queries.
        difference: mean less that of the best.
        difference_interval: 95 % interval of the difference, of other queries and other runs; NaN for the best.
        p: of the difference to the best, corrected over all pairs; 1 for the best.
        is_p_bound: whether no resample was as extreme, so that p is smaller than that.
        has_own_spread: whether its runs vary so much more than the others' that it is tested with their spread alone.
        is_above_random: whether it is told apart from random order and above it, or is not compared with it.
        letters: systems that share one cannot be told apart.
        wins: queries with a higher metric than the best system's.
        ties: queries with the same.
        losses: queries with a lower one.
    """

    system: System
    mean: float
    deviation: float
    interval: tuple[float, float]
    difference: float
    difference_interval: tuple[float, float]
    p: float
    is_p_bound: bool
    has_own_spread: bool
    is_above_random: bool
    letters: str
    wins: int
    ties: int
    losses: int


@dataclasses.dataclass(frozen=True)
class Leaderboard:
    """Standings by falling mean, and what they rest on.

    Attributes:
        metric: its key.
        standings: of all systems with a finished run.
        p_values: corrected, [n, n] in the order of the standings.
        pooled_luck: of one run, as all losses share it but those that vary clearly more; none where it is not known.
        queries: number of test queries.
    """

    metric: str
    standings: tuple[Standing, ...]
    p_values: np.ndarray
    pooled_luck: Luck
    queries: int

    @property
    def pairs(self) -> int:
        """Number of pairs that were tested."""
        return len(self.standings) * (len(self.standings) - 1) // 2


def rank_systems(systems: Sequence[System], metric: str, resamples: int, seed: int) -> Leaderboard:
    """Returns the leaderboard of the systems that have a finished run.

    All pairs are tested and corrected together, since which one is the best the same data decide.

    Args:
        systems: measured on the same queries.
        metric: key of the metric.
        resamples: of each test, and of each interval; more where the correction needs finer p-values.
        seed: decides them.
    """
    ranked = sorted(
        (system for system in systems if system.finished), key=lambda one: -float(one.mean_per_list(metric).mean())
    )
    values = [system.mean_per_list(metric) for system in ranked]
    runs = [[float(run.per_list[metric].mean()) for run in system.finished if run.outcomes] for system in ranked]
    luck, pooled = estimate_luck(runs)
    counts = [len(own) for own in runs]
    p_values, is_bound = _test_pairs(values, counts, luck, resamples, seed)
    letters = compact_letters(p_values <= LEVEL)
    random = next((place for place, one in enumerate(ranked) if one.name == RANDOM and one.row is None), len(ranked))
    standings = []
    for place, system in enumerate(ranked):
        differences = values[place] - values[0]
        shared = combine_luck(luck[place], luck[0], (counts[place], counts[0]))
        ends = paired_run_interval(values[place], values[0], shared, resamples, seed) if place else _UNKNOWN
        standings.append(
            Standing(
                system=system,
                mean=float(values[place].mean()),
                deviation=float(np.std(runs[place], ddof=1)) if len(runs[place]) > 1 else float("nan"),
                interval=bootstrap_interval(values[place], resamples, seed),
                difference=float(differences.mean()),
                difference_interval=ends,
                p=float(p_values[0, place]),
                is_p_bound=bool(is_bound[0, place]),
                has_own_spread=bool(luck[place].shares) and luck[place] != pooled,
                is_above_random=random in (place, len(ranked)) or place < random and p_values[random, place] <= LEVEL,
                letters=letters[place],
                wins=int(np.sum(differences > _TIE)),
                ties=int(np.sum(np.abs(differences) <= _TIE)),
                losses=int(np.sum(differences < -_TIE)),
            )
        )
    return Leaderboard(metric, tuple(standings), p_values, pooled, len(values[0]) if values else 0)


def _test_pairs(
    values: Sequence[np.ndarray], runs: Sequence[int], luck: Sequence[Luck], resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the corrected p-values of all pairs, [n, n], 1 on the diagonal; and which of them are upper bounds."""
    pairs = list(itertools.combinations(range(len(values)), 2))
    resamples = max(resamples, round(10 * len(pairs) / LEVEL))  # Holm multiplies the smallest by the number of pairs
    lucks = [combine_luck(luck[one], luck[other], (runs[one], runs[other])) for one, other in pairs]
    tested = paired_run_tests([(values[one], values[other]) for one, other in pairs], lucks, resamples, seed)
    corrected = np.ones([len(values), len(values)])
    is_bound = np.zeros(corrected.shape, bool)
    for (one, other), p, raw in zip(pairs, holm(tested), tested, strict=True):
        corrected[one, other] = corrected[other, one] = p
        is_bound[one, other] = is_bound[other, one] = raw == 1 / (1 + resamples)
    return corrected, is_bound
