"""Compares losses from a config to a report: trials, choice, seeds, tests."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import tqdm

from tfr_listbert.config import Config
from tfr_listbert.evaluation.comparison.estimate import describe_effort, estimate_seconds, measure_speed
from tfr_listbert.evaluation.comparison.folds import Fold, prepare_folds
from tfr_listbert.evaluation.comparison.labels import check_labels, read_labels
from tfr_listbert.evaluation.comparison.leaderboard import rank_systems
from tfr_listbert.evaluation.comparison.plan import Row, count_runs, plan_rows, plan_seeds, plan_trials
from tfr_listbert.evaluation.comparison.plots import plot_all
from tfr_listbert.evaluation.comparison.query_page import QUERIES_FILE, choose_pair, format_query_page
from tfr_listbert.evaluation.comparison.report import Findings, write_report
from tfr_listbert.evaluation.comparison.results import Results, read_system, read_test_lists, score_baselines
from tfr_listbert.evaluation.comparison.tables import SHOWN_METRICS
from tfr_listbert.evaluation.comparison.tensorboard import TENSORBOARD_FOLDER, write_tensorboard
from tfr_listbert.folders import fill_folder, replace_folder
from tfr_listbert.rows.tested_queries import require_untested_starts
from tfr_listbert.schema import InputError
from tfr_listbert.training.experiments.outcome import OUTCOME_FILE, SETTINGS_FILE, has_ended, read_end, read_outcome
from tfr_listbert.training.experiments.processes import run_all
from tfr_listbert.training.experiments.run import Run, Trial


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What a comparison is made of before any run.

    Attributes:
        rows: the losses.
        notes: mark of each.
        folds: lists to train on and to test.
        trials_by_row: runs by which settings are chosen, of each loss by folds; none where there is nothing to choose.
    """

    rows: Sequence[Row]
    notes: Sequence[str]
    folds: Sequence[Fold]
    trials_by_row: Sequence[Sequence[Sequence[Run]]]

    @property
    def trials(self) -> list[Run]:
        """The trials of all losses and folds."""
        return [run for by_fold in self.trials_by_row for runs in by_fold for run in runs]


def compare_losses(config: Config) -> Results | None:
    """Runs the comparison of `config.compare` as far as it has not been run, and writes its report.

    Returns:
        What came out; None of a dry run.

    Raises:
        InputError: if a loss, its options, lists or tokenizer are wrong, the folder holds a comparison of other losses
            or runs with other settings, or another process is at it; after the report, if the process of a run failed,
            which the next call tries again.
    """
    if config.compare.dry_run:
        with tempfile.TemporaryDirectory() as place:
            print(_estimate(config, _plan(config, place)))
        return None
    with fill_folder(config.compare.output, "compare.output"):
        return _compare(config)


def _compare(config: Config) -> Results:
    plan = _plan(config, config.compare.output)
    with _Progress(sum(count_runs(plan.rows, config.compare))) as progress:
        progress.run(plan.trials, config.compare.jobs)
        choices = [
            [_choose(row, runs) for runs in by_fold] for row, by_fold in zip(plan.rows, plan.trials_by_row, strict=True)
        ]
        seeds = _plan_seeds(config, plan, choices)
        for run in seeds:
            _take_over(run, plan.trials)
        progress.run(seeds, config.compare.jobs)
    lists = read_test_lists(config, plan.folds)
    systems = [
        read_system(config, row, note, chosen, plan.folds, lists)
        for row, note, chosen in zip(plan.rows, _add_trials(plan), choices, strict=True)
    ]
    results = Results(lists, [*systems, *score_baselines(config, lists)])
    _report(config, results, plan.trials)
    progress.require_none_failed()
    return results


def _plan(config: Config, place: str) -> _Plan:
    """Returns the plan; folds are written to `place`."""
    rows = plan_rows(config.compare)
    _require_same_rows(config.compare.output, [row.name for row in rows])
    require_untested_starts(config, {config.encoder.initial, *(row.entry.initial for row in rows)})
    folds = prepare_folds(config, place)
    labels = read_labels(fold.lists for fold in folds)
    notes = [check_labels(row, labels) for row in rows]
    trials = [[plan_trials(config, row, fold.lists, fold.number) for fold in folds] for row in rows]
    return _Plan(rows, notes, folds, trials)


def _require_same_rows(output: str, names: Sequence[str]) -> None:
    """Refuses a folder with runs of others than `names` alone, whose report would be overwritten."""
    found = {path.relative_to(output).parts[0] for path in Path(output).glob(f"*/**/{SETTINGS_FILE}")}
    if found and found.isdisjoint(names):
        raise InputError(
            f"`compare.output` names {output}, which holds a comparison of {', '.join(sorted(found))}, and none of "
            f"{', '.join(names)}: its report would be overwritten. Name a new folder."
        )


def _estimate(config: Config, plan: _Plan) -> str:
    """Returns the answer of a dry run.

    Raises:
        InputError: if runs that have ended have other settings, as the call that is not dry would.
    """
    open_trials = [run for run in plan.trials if read_outcome(run) is None]
    waiting = {run.loss for run in open_trials}
    choices = [
        # where nothing is chosen yet any will do, which is as long
        [row.trials[0] if row.name in waiting else _choose(row, runs) for runs in by_fold]
        for row, by_fold in zip(plan.rows, plan.trials_by_row, strict=True)
    ]
    seeds = _plan_seeds(config, plan, choices)
    # Of a loss without a choice the runs that are there may be of another one than that foreseen here
    open_seeds = [run for run in seeds if not (has_ended(run) if run.loss in waiting else read_outcome(run))]
    open_runs = [*open_trials, *(run for run in open_seeds if _find_same(run, plan.trials) is None)]
    ended = len(plan.trials) + len(seeds) - len(open_trials) - len(open_seeds)
    seconds = 0.0
    if open_runs:
        print("Timing a few steps.", flush=True)
        seconds = estimate_seconds(open_runs, measure_speed(open_runs[0].config), config.compare.jobs)
    return describe_effort(plan.trials, seeds, ended, seconds, config.compare.jobs)


def _choose(row: Row, runs: Sequence[Run]) -> Trial | None:
    """Returns the hyper-parameters with the best validation metric; None if no trial came to its end, or one failed.

    A trial that failed is tried again by the next call, and may then turn out the best.
    """
    if not runs:
        return row.trials[0]
    ends = {run.trial: read_end(run) for run in runs}
    if any(outcome.is_failed for outcome in ends.values()):
        return None
    kept = {trial: outcome.best_value for trial, outcome in ends.items() if outcome.is_finished}
    return max(kept, key=kept.get) if kept else None


def _add_trials(plan: _Plan) -> list[str]:
    """Returns the mark of each loss with what must be known of its trials."""
    notes = []
    for by_fold, note in zip(plan.trials_by_row, plan.notes, strict=True):
        ends = [[read_end(run) for run in runs] for runs in by_fold]
        failed = sum(outcome.is_failed for own in ends for outcome in own)
        has_none = any(own and all(outcome.is_diverged for outcome in own) for own in ends)
        marks = [
            "diverged in every trial" if has_none else "",
            f"failed: {failed} of {sum(map(len, ends))} trials" if failed else "",
            note,
        ]
        notes.append("; ".join(filter(None, marks)))
    return notes


def _plan_seeds(config: Config, plan: _Plan, choices: Sequence[Sequence[Trial | None]]) -> list[Run]:
    """Returns the runs of the settings chosen; none for a loss without a choice in some fold."""
    return [
        run
        for row, chosen in zip(plan.rows, choices, strict=True)
        if None not in chosen
        for fold, trial in zip(plan.folds, chosen, strict=True)
        for run in plan_seeds(config, row, trial, fold.lists, fold.number)
    ]


def _take_over(run: Run, trials: Sequence[Run]) -> None:
    """Begins a run as the trial that had the same settings, if one had: what is left is to score its test lists."""
    same = _find_same(run, trials)
    if same is not None and not run.folder.exists():
        with replace_folder(run.folder, ("*",), "compare.output") as partial:
            shutil.copytree(same.folder, partial, dirs_exist_ok=True, ignore=shutil.ignore_patterns(OUTCOME_FILE))


def _find_same(run: Run, trials: Sequence[Run]) -> Run | None:
    def place(trial: Run) -> Config:
        return dataclasses.replace(
            trial.config, train=dataclasses.replace(trial.config.train, run=run.config.train.run)
        )

    return next((trial for trial in trials if place(trial) == run.config), None)


class _Progress:
    """One bar over all runs of the comparison."""

    def __init__(self, total: int):
        self._bar = tqdm.tqdm(total=total, desc="compare", unit="run")
        self._failed: list[Run] = []

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def run(self, runs: Sequence[Run], jobs: int) -> None:
        """Runs those that have not ended; goes on with the others where the process of one fails, but not of all.

        Raises:
            InputError: if all failed.
        """
        open_runs = [run for run in runs if read_outcome(run) is None]
        self._bar.update(len(runs) - len(open_runs))
        failed = run_all(open_runs, jobs, self._on_end)
        self._failed += failed
        if len(failed) == len(runs):
            self.require_none_failed()

    def require_none_failed(self) -> None:
        """Raises InputError if the process of a run has failed."""
        if self._failed:
            logs = ", ".join(str(run.log) for run in self._failed)
            raise InputError(f"{len(self._failed)} runs failed; their logs say why: {logs}. Call again to go on.")

    def _on_end(self, run: Run) -> None:
        self._bar.set_postfix_str(f"{run.loss} {run.trial.name} seed={run.seed}", refresh=False)
        self._bar.update()


def _report(config: Config, results: Results, trials: Sequence[Run]) -> None:
    metric, settings, output = config.train.metric, config.evaluate, Path(config.compare.output)
    board = rank_systems(results.systems, metric, settings.resamples, settings.seed)
    images = plot_all(board, results.systems)
    others = [
        rank_systems(results.systems, other, settings.resamples, settings.seed)
        for other in SHOWN_METRICS
        if other != metric
    ]
    findings = Findings(config, results, board, others, [(run, read_end(run)) for run in trials], images)
    write_report(findings, output)
    write_tensorboard(findings, output)
    if len(board.standings) > 1:
        *pair, note = choose_pair(config.compare, board)
        page = format_query_page(results, *pair, config, note)
        (output / QUERIES_FILE).write_text(page, encoding="utf-8")
    for standing in board.standings:
        print(f"{standing.mean:.4f}  {standing.letters:6} {standing.system.name}")
    print(f"Wrote report.md, report.html, results.csv, runs.csv and {QUERIES_FILE} to {output}.")
    print(f"See the curves: tensorboard --logdir {output / TENSORBOARD_FOLDER}")
