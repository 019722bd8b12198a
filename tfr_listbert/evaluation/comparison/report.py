"""The report of a comparison: `report.md`, `report.html`, `results.csv` and `runs.csv`."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from tfr_listbert.config import Config
from tfr_listbert.evaluation.comparison.conclusion import describe_leader, describe_population
from tfr_listbert.evaluation.comparison.document import (
    Block,
    Heading,
    Image,
    Paragraph,
    Table,
    format_html,
    format_markdown,
)
from tfr_listbert.evaluation.comparison.leaderboard import Leaderboard, Standing
from tfr_listbert.evaluation.comparison.results import RISE, Results, SystemRun, is_rising
from tfr_listbert.evaluation.comparison.tables import (
    mark_standing,
    mark_system,
    tabulate_paper,
    tabulate_runs,
    tabulate_slices,
    tabulate_standings,
    tabulate_trials,
)
from tfr_listbert.evaluation.evaluate import format_trec
from tfr_listbert.evaluation.slices import slice_lists
from tfr_listbert.schema import RankedList
from tfr_listbert.training.experiments.outcome import Outcome
from tfr_listbert.training.experiments.run import Run

PLOTS_FOLDER = "plots"
TITLE = "Which loss?"


@dataclasses.dataclass(frozen=True)
class Findings:
    """All that a report is made of.

    Attributes:
        config: of the comparison.
        results: of its runs.
        board: the leaderboard.
        others: leaderboards of the other metrics that are shown.
        trials: every trial and how it ended.
        images: the plots.
    """

    config: Config
    results: Results
    board: Leaderboard
    others: Sequence[Leaderboard]
    trials: Sequence[tuple[Run, Outcome]]
    images: Sequence[Image] = ()


def build_report(findings: Findings) -> list[Block]:
    """Returns the report's blocks."""
    board, systems = findings.board, findings.results.systems
    metric = findings.config.train.metric
    blocks: list[Block] = [
        Heading(TITLE, 1),
        Paragraph(describe_leader(board)),
        Paragraph(describe_population(board, systems)),
        Paragraph(describe_budget(findings)),
        Heading("Leaderboard"),
        tabulate_standings(board, systems, metric),
        Paragraph(_describe_board(board)),
    ]
    paper = tabulate_paper(board)
    if paper.rows:
        blocks += [Heading("The paper's losses"), paper, Paragraph(describe_paper(findings))]
    blocks += findings.images
    blocks += [Heading("Other metrics"), Paragraph("Each is tested, and corrected after Holm, on its own.")]
    for other in findings.others:
        blocks += [Heading(other.metric, 3), tabulate_standings(other, systems, metric)]
    blocks += [Heading(f"Slices, {board.metric}"), tabulate_slices(board, slice_lists(findings.results.lists))]
    blocks += [Heading("Runs"), Paragraph(_RUNS_NOTE), tabulate_runs(systems, board.metric)]
    if findings.trials:
        blocks += [Heading("Trials"), tabulate_trials(findings.trials, board.metric)]
    return blocks


_RUNS_NOTE = (
    "Spread of scores: their standard deviation within a test list, mean over the lists. One many times that of other "
    "losses, without a lead, is the sign of a loss that has driven scores apart before it had them in order."
)


def _describe_board(board: Leaderboard) -> str:
    return (
        "Systems that share a letter cannot be told apart. ±: standard deviation of a run's mean. 95 % of the "
        f"difference: of other queries{' and other runs' if board.pooled_luck.shares else ', not of other runs'}, for "
        "this pair alone; p: corrected over all pairs, '<=' where no resample was as extreme. Wins: queries on which "
        "the system is ahead of the best one. The gain of NDCG is 2^label - 1; that of `ndcg_linear` is the label "
        "itself, as in trec_eval. 'Not converged': the last quarter of a run's evaluations brought its best one, by "
        f"more than {RISE}, or there was only one. That is a weak sign, since the learning rate falls to 0 and any "
        "curve flattens with it: a run without the mark might still gain from more epochs."
    )


def describe_paper(findings: Findings) -> str:
    """Returns what must be known before the paper's figures are held against these."""
    text = (
        "The paper (ListBERT, Table 1) says neither cut-off nor gain of its NDCG, nor seeds or significance; its shop, "
        "encoder and budget are others. Compare the order and the distances, not the values."
    )
    grading = findings.config.data.options.get("grading")
    if findings.config.data.reader == "clicks" and grading:
        rates = {"clicks_over_expected": "clicks over expected clicks", "ctr": "the click-through rate"}
        text += f" Training grades here are of {rates.get(grading, grading)}, the paper's of the click-through rate."
    if judgements := findings.config.evaluate.judgements:
        text += f" Test grades here are the true ones of {judgements}; the paper tests on clicks, too."
    return text


def describe_budget(findings: Findings) -> str:
    """Returns what every loss was given, in words."""
    config, compare = findings.config, findings.config.compare
    runs = [run for system in findings.results.systems if system.row for run in system.finished]
    pairs = max((run.pairs for run in runs), default=0)
    trials = max((len(system.row.trials) for system in findings.results.systems if system.row), default=1)
    chosen = "with the settings given"
    if trials > 1:
        chosen = f"chosen among {trials} settings on the validation lists"
        chosen += f" in trials of {_count_epochs(compare.trial_epochs)}" if compare.trial_epochs else ""
    graded = f"the grades of {config.evaluate.judgements}" if config.evaluate.judgements else "the labels of the lists"
    return (
        f"Every loss: {_count_epochs(config.train.epochs)} of {config.train.batch_text} a step, up to {pairs:,} pairs "
        f"in all, encoder {config.encoder.size or 'as configured'}, start {config.encoder.initial or 'random'} unless "
        f"its mark says otherwise, {chosen}, seeds "
        f"{', '.join(map(str, compare.seeds))}{f', {compare.folds} folds over queries' if compare.folds else ''}. The "
        f"same seed has the same initial weights and the same order of batches for every loss."
        f"{f' Seed {compare.seeds[0]} is that of the trials, too.' if trials > 1 else ''} Tested on "
        f"{findings.board.queries} queries by {graded}."
    )


def _count_epochs(number: int) -> str:
    return f"{number} epoch{'s' if number > 1 else ''}"


def write_report(findings: Findings, output: Path) -> None:
    """Writes the report and its tables to `output`, and each run's metrics by query and rankings to its folder."""
    blocks = build_report(findings)
    (output / PLOTS_FOLDER).mkdir(parents=True, exist_ok=True)
    for image in findings.images:
        (output / PLOTS_FOLDER / image.name).write_bytes(image.png)
    (output / "report.md").write_text(format_markdown(blocks, PLOTS_FOLDER), encoding="utf-8")
    (output / "report.html").write_text(format_html(blocks, TITLE), encoding="utf-8")
    _write_csv(output / "results.csv", _list_results(findings))
    _write_csv(output / "runs.csv", _list_runs(findings))
    for system in findings.results.systems:
        for run in system.finished:
            _write_rankings(run, findings.results.lists, output / system.name / (str(run.seed) if system.row else ""))


def _list_results(findings: Findings) -> Table:
    """Returns all numbers of all systems, a row per system and metric, unrounded as far as CSV readers care."""
    header = ["system", "loss", "metric", "mean", "seed_deviation", "low", "high", "difference", "difference_low"]
    header += ["difference_high", "p_holm", "is_p_bound", "letters", "wins", "ties", "losses", "runs", "diverged_runs"]
    header += ["failed_runs", "marks"]
    rows = []
    for board in (findings.board, *findings.others):
        unfinished = [(system, None) for system in findings.results.systems if not system.finished]
        for system, one in [*((one.system, one) for one in board.standings), *unfinished]:
            loss = system.row.entry.loss if system.row else ""
            numbers = _list_numbers(one) if one else [""] * (header.index("runs") - header.index("mean"))
            ends = [len(system.runs), sum(run.is_diverged for run in system.runs)]
            ends.append(sum(run.is_failed for run in system.runs))
            metric = findings.config.train.metric
            marks = mark_standing(one, metric) if one else mark_system(system, metric)
            rows.append([system.name, loss, board.metric, *numbers, *map(str, ends), marks])
    return Table(header, rows)


def _list_runs(findings: Findings) -> Table:
    """Returns all numbers of all training runs, a row for each fold of a run; those of the test lists are the run's."""
    metric = findings.board.metric
    header = ["system", "learning_rate", "temperature", "seed", "fold", f"test_{metric}", "score_spread"]
    header += [f"validation_{metric}", "best_step", "pairs", "seconds", "is_diverged", "is_failed", "is_rising"]
    rows = []
    for system in findings.results.systems:
        for run in system.runs:
            test = [f"{run.per_list[metric].mean():.6f}", f"{run.score_spread:.6g}"] if run.per_list else ["", ""]
            for number, (trial, outcome) in enumerate(zip(run.trials, run.outcomes, strict=True), start=1):
                fold = number if len(run.outcomes) > 1 else ""
                numbers = [trial.learning_rate, trial.temperature, run.seed, fold, *test, outcome.best_value]
                numbers += [outcome.best_step, outcome.pairs, round(outcome.seconds, 1), outcome.is_diverged]
                numbers += [outcome.is_failed, is_rising(outcome, metric)]
                rows.append([system.name, *("" if one is None else str(one) for one in numbers)])
    return Table(header, rows)


def _list_numbers(one: Standing) -> list[str]:
    numbers = [one.mean, one.deviation, *one.interval, one.difference, *one.difference_interval, one.p]
    texts = ["" if math.isnan(number) else f"{number:.6f}" for number in numbers]
    return [*texts, str(one.is_p_bound), one.letters, str(one.wins), str(one.ties), str(one.losses)]


def _write_csv(path: Path, table: Table) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([table.header, *table.rows])


def _write_rankings(run: SystemRun, lists: Sequence[RankedList], folder: Path) -> None:
    """Writes what tests can be made of anew: `per_query.csv`, every metric of every query, and `run.trec`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        [one.query_id, one.query, str(one.is_seen), str(len(one.documents)), *(f"{value:.6f}" for value in values)]
        for one, *values in zip(lists, *run.per_list.values(), strict=True)
    ]
    _write_csv(folder / "per_query.csv", Table(["query_id", "query", "is_seen", "documents", *run.per_list], rows))
    (folder / "run.trec").write_text("".join(format_trec(run.scored)), encoding="utf-8")
