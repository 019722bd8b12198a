"""What came out of a comparison's runs: every metric of every test query, by system and run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tfr_listbert.config import Config
from tfr_listbert.evaluation.comparison.folds import Fold
from tfr_listbert.evaluation.comparison.plan import Row, plan_seeds
from tfr_listbert.evaluation.judgements import judge_as_configured, relabel
from tfr_listbert.evaluation.systems import build_baselines, build_bm25, score_with
from tfr_listbert.lists.elwc import read_lists
from tfr_listbert.metrics import ScoredList, compute_metrics
from tfr_listbert.schema import RankedList
from tfr_listbert.training.experiments.outcome import Outcome, read_end, read_scores
from tfr_listbert.training.experiments.run import Run, Trial

RISE = 0.002
"""Validation curves that gain no more than this in their last quarter have ended their climb, for all that noise lets
one see."""


@dataclasses.dataclass(frozen=True)
class SystemRun:
    """One seed of a system, over all folds; of a baseline, its only one.

    Attributes:
        seed: run seed; 0 for a baseline.
        trials: hyper-parameters by fold.
        outcomes: how training ended, by fold; none for a baseline.
        scored: the test lists with scores and the labels of the report; empty if it diverged or failed.
        per_list: metrics [number of lists] by name; empty if it diverged or failed.
        lists_by_fold: numbers of test lists; none for a baseline, or where there are no metrics.
    """

    seed: int
    trials: tuple[Trial, ...]
    outcomes: tuple[Outcome, ...]
    scored: Sequence[ScoredList]
    per_list: Mapping[str, np.ndarray]
    lists_by_fold: tuple[int, ...] = ()

    @property
    def is_diverged(self) -> bool:
        """Whether training diverged in any fold."""
        return any(outcome.is_diverged for outcome in self.outcomes)

    @property
    def is_failed(self) -> bool:
        """Whether the process of any fold failed."""
        return any(outcome.is_failed for outcome in self.outcomes)

    def is_rising(self, metric: str) -> bool:
        """Says whether a validation curve still rose when training ended."""
        return any(is_rising(outcome, metric) for outcome in self.outcomes)

    @property
    def score_spread(self) -> float:
        """Standard deviation of the scores of a test list, mean over the lists; not a number where none was scored."""
        return float(np.mean([np.std(one.scores) for one in self.scored])) if self.scored else float("nan")

    @property
    def pairs(self) -> int:
        """Query-document pairs seen in training, all folds together."""
        return sum(outcome.pairs for outcome in self.outcomes)


def is_rising(outcome: Outcome, metric: str) -> bool:
    """Says whether the best of the last quarter of evaluations is above all before by more than noise."""
    values = [entry[metric] for entry in outcome.history if metric in entry]
    if len(values) < 2:
        return True  # nobody can tell
    last = max(1, len(values) // 4)
    return max(values[-last:]) > max(values[:-last]) + RISE


@dataclasses.dataclass(frozen=True)
class System:
    """A loss or a baseline.

    Attributes:
        name: name of the row.
        row: of the plan; None for a baseline.
        runs: one per seed.
        note: what a reader must know of it, or "".
    """

    name: str
    row: Row | None
    runs: tuple[SystemRun, ...]
    note: str = ""

    @property
    def finished(self) -> tuple[SystemRun, ...]:
        """Its runs that came to their end."""
        return tuple(run for run in self.runs if run.per_list)

    def mean_per_list(self, metric: str) -> np.ndarray:
        """Returns the metric of each test list, mean over the finished runs, float64 [number of lists]."""
        return np.mean([run.per_list[metric] for run in self.finished], axis=0)


@dataclasses.dataclass(frozen=True)
class Results:
    """All systems on the same test lists.

    Attributes:
        lists: the test lists, of all folds.
        systems: losses in the order of the config, then baselines.
    """

    lists: Sequence[RankedList]
    systems: Sequence[System]


def read_test_lists(config: Config, folds: Sequence[Fold]) -> Sequence[RankedList]:
    """Returns the test lists of all folds, with the grades of `evaluate.judgements` where that is set."""
    lists = [one for fold in folds for one in read_lists(fold.lists, "test")]
    return judge_as_configured(config, lists)


def read_system(
    config: Config,
    row: Row,
    note: str,
    choices: Sequence[Trial | None],
    folds: Sequence[Fold],
    lists: Sequence[RankedList],
) -> System:
    """Returns a loss with what its runs have left.

    Args:
        config: of the comparison.
        row: the loss.
        note: its mark.
        choices: hyper-parameters chosen, by fold; None where there is no choice.
        folds: in the same order.
        lists: the test lists of all folds.
    """
    if None in choices:
        return System(row.name, row, (), note)
    by_fold = [
        plan_seeds(config, row, trial, fold.lists, fold.number) for trial, fold in zip(choices, folds, strict=True)
    ]
    runs = tuple(_read_run(config, list(runs), lists) for runs in zip(*by_fold, strict=True))
    return System(row.name, row, runs, note)


def _read_run(config: Config, runs: Sequence[Run], lists: Sequence[RankedList]) -> SystemRun:
    outcomes, trials = tuple(read_end(run) for run in runs), tuple(run.trial for run in runs)
    if not all(outcome.is_finished for outcome in outcomes):
        return SystemRun(runs[0].seed, trials, outcomes, (), {})
    by_fold = [read_scores(run) for run in runs]
    scored = relabel([one for own in by_fold for one in own], lists)
    per_list = compute_metrics(scored, config.evaluate.relevant_from)
    return SystemRun(runs[0].seed, trials, outcomes, scored, per_list, tuple(map(len, by_fold)))


def score_baselines(config: Config, lists: Sequence[RankedList]) -> list[System]:
    """Returns the baselines that need no training: random order, stemmed BM25, and the shop's where it is known."""
    systems = []
    for name, scorer in build_baselines(build_bm25(config), lists).items():
        scored = score_with(scorer, lists)
        run = SystemRun(0, (), (), scored, compute_metrics(scored, config.evaluate.relevant_from))
        systems.append(System(name, None, (run,)))
    return systems
