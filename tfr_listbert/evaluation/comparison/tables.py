"""The tables of a comparison's report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tfr_listbert.evaluation.comparison.document import Table
from tfr_listbert.evaluation.comparison.leaderboard import Leaderboard, Standing
from tfr_listbert.evaluation.comparison.results import System, SystemRun
from tfr_listbert.evaluation.intervals import format_interval
from tfr_listbert.training.experiments.outcome import Outcome
from tfr_listbert.training.experiments.run import Run

SHOWN_METRICS = ("ndcg_10", "ndcg_5", "ndcg", "ndcg_linear_10", "mrr", "map", "precision_1", "recall_10")

PAPER_NDCG = {"rank_net_loss": 0.625, "list_net_loss": 0.630, "list_mle_loss": 0.662, "approx_ndcg_loss": 0.754}
"""Table 1 of ListBERT (Kumar and Sarkar, 2022); cut-off, gain, seeds and settings are not said there."""

_PAPER_LEADER = "approx_ndcg_loss"


def mark_system(system: System, metric: str) -> str:
    """Returns what must be known of a system and its runs, or ""; convergence is by `metric`."""
    counts = {
        "diverged": sum(run.is_diverged for run in system.runs),
        "failed": sum(run.is_failed for run in system.runs),
        "not converged": sum(run.is_rising(metric) for run in system.finished),
    }
    marks = [
        "frozen encoder" if system.row and system.row.entry.is_frozen else "",
        f"starts from {system.row.entry.initial}" if system.row and system.row.entry.initial else "",
        system.note,
        *(f"{mark}: {count} of {len(system.runs)} runs" for mark, count in counts.items() if count),
    ]
    return "; ".join(filter(None, marks))


def mark_standing(standing: Standing, metric: str) -> str:
    """Returns what must be known of a system and its runs, or of its place, or ""."""
    at_random = "" if standing.is_above_random else "not shown to beat random order"
    if at_random and standing.has_own_spread:
        at_random += ": its runs differ too much for their number"
    return "; ".join(filter(None, [mark_system(standing.system, metric), at_random]))


def tabulate_standings(board: Leaderboard, systems: Sequence[System], metric: str) -> Table:
    """Returns the leaderboard; systems without a finished run stand at its end.

    Args:
        board: standings by any metric.
        systems: all of them.
        metric: by which runs were to converge.
    """
    header = ["system", "letters", board.metric, "± over seeds", "95 % over queries", "to the best"]
    header += ["95 % of the difference", "p (Holm)", "wins / ties / losses", "marks"]
    rows = []
    for standing in board.standings:
        against = [""] * 4
        if standing is not board.standings[0]:
            against = [
                f"{standing.difference:+.4f}",
                format_interval(standing.difference_interval, "+.4f"),
                f"{'<= ' if standing.is_p_bound else ''}{standing.p:.4f}",
                f"{standing.wins} / {standing.ties} / {standing.losses}",
            ]
        values = [f"{standing.mean:.4f}", format_number(standing.deviation), format_interval(standing.interval)]
        rows.append([standing.system.name, standing.letters, *values, *against, mark_standing(standing, metric)])
    for system in systems:
        if not system.finished:
            rows.append([system.name, *[""] * (len(header) - 2), mark_system(system, metric)])
    return Table(header, rows)


def format_number(value: float | None) -> str:
    """Returns four decimals, or a dash for what is not known: None or NaN."""
    return "–" if value is None or math.isnan(value) else f"{value:.4f}"


def tabulate_paper(board: Leaderboard) -> Table:
    """Returns the paper's losses as found here beside the paper's figures, and by how much ApproxNDCG leads each.

    ApproxNDCG is that whose temperature was chosen on the validation lists, where there is one.
    """
    own = [
        one
        for one in board.standings
        if one.system.row and one.system.row.entry.loss in PAPER_NDCG and not one.system.row.entry.is_frozen
    ]
    leaders = sorted(
        (one for one in own if one.system.row.entry.loss == _PAPER_LEADER),
        key=lambda one: "temperature" in one.system.row.entry.options,
    )
    rows = []
    for standing in own:
        key = standing.system.row.entry.loss
        values = [f"{standing.mean:.4f}", format_number(standing.system.mean_per_list("ndcg").mean())]
        leads = ["", ""]
        if leaders and key != _PAPER_LEADER:
            leads = [
                f"{leaders[0].mean / standing.mean - 1:+.1%}" if standing.mean else "–",
                f"{PAPER_NDCG[_PAPER_LEADER] / PAPER_NDCG[key] - 1:+.1%}",
            ]
        rows.append([standing.system.name, key, *values, f"{PAPER_NDCG[key]:.3f}", *leads, standing.letters])
    leader = leaders[0].system.name if leaders else _PAPER_LEADER
    header = [
        "system",
        "loss",
        board.metric,
        "ndcg",
        "paper's NDCG",
        f"{leader} leads it by",
        "in the paper",
        "letters",
    ]
    return Table(header, rows)


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
    header = ["system", "settings", "seed", f"test {metric}", "spread of scores", f"validation {metric}", "at step"]
    header += ["pairs", "marks"]
    rows = []
    for system in systems:
        for run in system.runs if system.row else ():
            value = f"{run.per_list[metric].mean():.4f}" if run.per_list else ""
            best = " ".join(format_number(outcome.best_value) for outcome in run.outcomes)
            steps = " ".join(str(outcome.best_step) for outcome in run.outcomes)
            settings = " ".join(trial.name for trial in run.trials)
            numbers = [str(run.seed), value, format_number(run.score_spread), best, steps, f"{run.pairs:,}"]
            rows.append([system.name, settings, *numbers, _mark_run(run, metric)])
    return Table(header, rows)


def _mark_run(run: SystemRun, metric: str) -> str:
    for mark, is_so in {"diverged": run.is_diverged, "failed": run.is_failed}.items():
        if is_so:
            return f"{mark}: {' '.join(outcome.message for outcome in run.outcomes if outcome.message)}"
    return "not converged" if run.is_rising(metric) else ""


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
