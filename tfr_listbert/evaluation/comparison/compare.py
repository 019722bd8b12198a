"""Compares losses from a config to a report: trials, choice, seeds, tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tqdm

from tfr_listbert.config import Config
from tfr_listbert.evaluation.comparison.estimate import describe_effort, estimate_seconds, measure_speed
from tfr_listbert.evaluation.comparison.folds import Fold, prepare_folds
from tfr_listbert.evaluation.comparison.labels import check_labels, read_labels
from tfr_listbert.evaluation.comparison.leaderboard import rank_systems
from tfr_listbert.evaluation.comparison.plan import Row, Run, Trial, count_runs, plan_rows, plan_seeds, plan_trials
from tfr_listbert.evaluation.comparison.plots import plot_all
from tfr_listbert.evaluation.comparison.query_page import QUERIES_FILE, choose_pair, format_query_page
from tfr_listbert.evaluation.comparison.report import Findings, write_report
from tfr_listbert.evaluation.comparison.results import Results, read_system, read_test_lists, score_baselines
from tfr_listbert.evaluation.comparison.runs import LOG_FILE, has_ended, read_outcome, run_all
from tfr_listbert.evaluation.comparison.tensorboard import TENSORBOARD_FOLDER, write_tensorboard
from tfr_listbert.schema import InputError


def compare_losses(config: Config) -> Results | None:
    """Runs the comparison of `config.compare` as far as it has not been run, and writes its report.

    Returns:
        What came out; None of a dry run.

    Raises:
        InputError: if a loss, its options, lists or tokenizer are wrong, or a run failed.
    """
    rows = plan_rows(config.compare)
    folds = prepare_folds(config)
    labels = read_labels(fold.lists for fold in folds)
    notes = [check_labels(row, labels) for row in rows]
    trials = [run for row in rows for fold in folds for run in plan_trials(config, row, fold.lists, fold.number)]
    if config.compare.dry_run:
        first = [[row.trials[0]] * len(folds) for row in rows]  # not chosen yet; as long as any other
        print(_estimate(config, trials, _plan_seeds(config, rows, folds, first)))
        return None
    with _Progress(sum(count_runs(rows, config.compare))) as progress:
        progress.run(trials, config.compare.jobs)
        choices = [[_choose(config, row, fold) for fold in folds] for row in rows]
        progress.run(_plan_seeds(config, rows, folds, choices), config.compare.jobs)
    lists = read_test_lists(config, folds)
    systems = [
        read_system(config, row, note, chosen, folds, lists)
        for row, note, chosen in zip(rows, notes, choices, strict=True)
    ]
    results = Results(lists, [*systems, *score_baselines(config, lists)])
    _report(config, results, trials)
    return results


def _estimate(config: Config, trials: Sequence[Run], seeds: Sequence[Run]) -> str:
    open_runs = [run for run in (*trials, *seeds) if not has_ended(run)]
    speed = measure_speed(seeds[0].config)
    seconds = estimate_seconds(open_runs, speed, config.compare.jobs)
    ended = len(trials) + len(seeds) - len(open_runs)
    return describe_effort(trials, seeds, ended, seconds, config.compare.jobs)


def _choose(config: Config, row: Row, fold: Fold) -> Trial | None:
    """Returns the hyper-parameters with the best validation metric; None if all of them diverged."""
    runs = plan_trials(config, row, fold.lists, fold.number)
    if not runs:
        return row.trials[0]
    values = {run.trial: read_outcome(run) for run in runs}
    kept = {trial: outcome.best_value for trial, outcome in values.items() if not outcome.is_diverged}
    return max(kept, key=kept.get) if kept else None


def _plan_seeds(
    config: Config, rows: Sequence[Row], folds: Sequence[Fold], choices: Sequence[Sequence[Trial | None]]
) -> list[Run]:
    """Returns the runs of the settings chosen; none for a loss that has diverged in every trial of a fold."""
    return [
        run
        for row, chosen in zip(rows, choices, strict=True)
        if None not in chosen
        for fold, trial in zip(folds, chosen, strict=True)
        for run in plan_seeds(config, row, trial, fold.lists, fold.number)
    ]


class _Progress:
    """One bar over all runs of the comparison."""

    def __init__(self, total: int):
        self._bar = tqdm.tqdm(total=total, desc="compare", unit="run")

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def run(self, runs: Sequence[Run], jobs: int) -> None:
        """Runs those that have not ended."""
        open_runs = [run for run in runs if read_outcome(run) is None]
        self._bar.update(len(runs) - len(open_runs))
        failed = run_all(open_runs, jobs, self._on_end)
        if failed:
            logs = ", ".join(str(run.folder / LOG_FILE) for run in failed)
            raise InputError(f"{len(failed)} runs failed; their logs say why: {logs}. Call again to go on.")

    def _on_end(self, run: Run) -> None:
        self._bar.set_postfix_str(f"{run.loss} {run.trial.name} seed={run.seed}", refresh=False)
        self._bar.update()


def _report(config: Config, results: Results, trials: Sequence[Run]) -> None:
    metric, settings, output = config.train.metric, config.evaluate, Path(config.compare.output)
    board = rank_systems(results.systems, metric, settings.resamples, settings.seed)
    images = plot_all(board, results.systems)
    findings = Findings(config, results, board, [(run, read_outcome(run)) for run in trials], images)
    write_report(findings, output)
    write_tensorboard(findings, output)
    if len(board.standings) > 1:
        pair = choose_pair(config.compare, board)
        page = format_query_page(results, *pair, metric, config.compare.queries_shown)
        (output / QUERIES_FILE).write_text(page, encoding="utf-8")
    for standing in board.standings:
        print(f"{standing.mean:.4f}  {standing.letters:6} {standing.system.name}")
    print(f"Wrote report.md, report.html, results.csv, runs.csv and {QUERIES_FILE} to {output}.")
    print(f"See the curves: tensorboard --logdir {output / TENSORBOARD_FOLDER}")
