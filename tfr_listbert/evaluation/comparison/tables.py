"""The tables of a comparison's report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tfr_listbert.evaluation.comparison.document import Table
from tfr_listbert.evaluation.comparison.leaderboard import Leaderboard
from tfr_listbert.evaluation.comparison.plan import Run
from tfr_listbert.evaluation.comparison.results import System, SystemRun
from tfr_listbert.evaluation.comparison.runs import Outcome

SHOWN_METRICS = ("ndcg_10", "ndcg_5", "ndcg", "ndcg_linear_10", "mrr", "map", "precision_1", "recall_10")

PAPER_NDCG = {"rank_net_loss": 0.625, "list_net_loss": 0.630, "list_mle_loss": 0.662, "approx_ndcg_loss": 0.754}
"""Table 1 of ListBERT (Kumar and Sarkar, 2022); cut-off, gain, seeds and settings are not said there."""


def mark_system(system: System) -> str:
    """Returns what must be known of a system's runs, or ""."""
    diverged = sum(run.is_diverged for run in system.runs)
    failed = sum(run.is_failed for run in system.runs)
    rising = sum(run.is_rising for run in system.finished)
    marks = [
        system.note,
        f"diverged: {diverged} of {len(system.runs)} runs" if diverged else "",
        f"failed: {failed} of {len(system.runs)} runs" if failed else "",
        f"not converged: {rising} of {len(system.runs)} runs" if rising else "",
    ]
    return "; ".join(filter(None, marks))


def tabulate_standings(board: Leaderboard, systems: Sequence[System]) -> Table:
    """Returns the leaderboard; systems without a finished run stand at its end."""
    header = ["system", "letters", board.metric, "± over seeds", "95 % over queries", "to the best", "p (Holm)"]
    header += ["wins / ties / losses", "marks"]
    rows = []
    for standing in board.standings:
        low, high = standing.interval
        is_best = standing is board.standings[0]
        against = ["", "", ""]
        if not is_best:
            counts = f"{standing.wins} / {standing.ties} / {standing.losses}"
            against = [f"{standing.difference:+.4f}", f"{standing.p:.4f}", counts]
        values = [f"{standing.mean:.4f}", format_number(standing.deviation), f"{low:.4f} – {high:.4f}"]
        rows.append([standing.system.name, standing.letters, *values, *against, mark_system(standing.system)])
    for system in systems:
        if not system.finished:
            rows.append([system.name, *[""] * (len(header) - 2), mark_system(system)])
    return Table(header, rows)


def format_number(value: float | None) -> str:
    """Returns four decimals, or a dash for what is not known: None or NaN."""
    return "–" if value is None or math.isnan(value) else f"{value:.4f}"


def tabulate_paper(board: Leaderboard) -> Table:
    """Returns the paper's losses as found here, beside the paper's figures."""
    rows = []
    for standing in board.standings:
        key = standing.system.row.entry.loss if standing.system.row else ""
        if key in PAPER_NDCG and not standing.system.row.entry.is_frozen:
            ndcg = standing.system.mean_per_list("ndcg").mean()
            values = [f"{standing.mean:.4f}", f"{ndcg:.4f}", f"{PAPER_NDCG[key]:.3f}"]
            rows.append([standing.system.name, key, *values, standing.letters])
    return Table(["system", "loss", board.metric, "ndcg", "paper's NDCG", "letters"], rows)


def tabulate_metrics(board: Leaderboard) -> Table:
    """Returns the means of several metrics."""
    rows = [
        [one.system.name, *(f"{one.system.mean_per_list(metric).mean():.4f}" for metric in SHOWN_METRICS)]
        for one in board.standings
    ]
    return Table(["system", *SHOWN_METRICS], rows)


def tabulate_slices(board: Leaderboard, slices: Mapping[str, np.ndarray]) -> Table:
    """Returns the mean of the metric in each slice."""
    counts = [f"{name} ({int(chosen.sum())})" for name, chosen in slices.items()]
    rows = []
    for standing in board.standings:
        values = standing.system.mean_per_list(board.metric)
        rows.append([standing.system.name, *(f"{values[chosen].mean():.4f}" for chosen in slices.values())])
    return Table(["system", *counts], rows)


def tabulate_runs(systems: Sequence[System], metric: str) -> Table:
    """Returns one line per training run, the diverged ones too."""
    header = ["system", "settings", "seed", f"test {metric}", f"validation {metric}", "at step", "pairs", "marks"]
    rows = []
    for system in systems:
        for run in system.runs if system.row else ():
            value = f"{run.per_list[metric].mean():.4f}" if run.per_list else ""
            best = " ".join(format_number(outcome.best_value) for outcome in run.outcomes)
            steps = " ".join(str(outcome.best_step) for outcome in run.outcomes)
            settings = " ".join(trial.name for trial in run.trials)
            numbers = [str(run.seed), value, best, steps, f"{run.pairs:,}"]
            rows.append([system.name, settings, *numbers, _mark_run(run)])
    return Table(header, rows)


def _mark_run(run: SystemRun) -> str:
    for mark, is_so in {"diverged": run.is_diverged, "failed": run.is_failed}.items():
        if is_so:
            return f"{mark}: {' '.join(outcome.message for outcome in run.outcomes if outcome.message)}"
    return "not converged" if run.is_rising else ""


def tabulate_trials(trials: Sequence[tuple[Run, Outcome]], metric: str) -> Table:
    """Returns every trial with its best validation metric."""
    header = ["system", "settings", "fold", f"validation {metric}", "at step", "marks"]
    rows = []
    for run, outcome in trials:
        value = format_number(outcome.best_value)
        fold = str(run.fold) if run.fold else ""
        mark = "diverged" if outcome.is_diverged else "failed" if outcome.is_failed else ""
        rows.append([run.loss, run.trial.name, fold, value, str(outcome.best_step), mark])
    return Table(header, rows)
