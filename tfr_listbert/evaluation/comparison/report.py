"""The report of a comparison: `report.md`, `report.html`, `results.csv` and `runs.csv`."""

from __future__ import annotations

import csv
import dataclasses
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
from tfr_listbert.evaluation.comparison.leaderboard import Leaderboard
from tfr_listbert.evaluation.comparison.plan import Run
from tfr_listbert.evaluation.comparison.results import Results
from tfr_listbert.evaluation.comparison.runs import Outcome
from tfr_listbert.evaluation.comparison.tables import (
    mark_system,
    tabulate_metrics,
    tabulate_paper,
    tabulate_runs,
    tabulate_slices,
    tabulate_standings,
    tabulate_trials,
)
from tfr_listbert.evaluation.slices import slice_lists

PLOTS_FOLDER = "plots"
TITLE = "Which loss?"


@dataclasses.dataclass(frozen=True)
class Findings:
    """All that a report is made of.

    Attributes:
        config: of the comparison.
        results: of its runs.
        board: the leaderboard.
        trials: every trial and how it ended.
        images: the plots.
    """

    config: Config
    results: Results
    board: Leaderboard
    trials: Sequence[tuple[Run, Outcome]]
    images: Sequence[Image] = ()


def build_report(findings: Findings) -> list[Block]:
    """Returns the report's blocks."""
    board, systems = findings.board, findings.results.systems
    blocks: list[Block] = [
        Heading(TITLE, 1),
        Paragraph(describe_leader(board)),
        Paragraph(describe_population(board, systems)),
        Paragraph(describe_budget(findings)),
        Heading("Leaderboard"),
        tabulate_standings(board, systems),
        Paragraph(
            "Systems that share a letter cannot be told apart. ±: standard deviation of a run's mean. Wins: queries on "
            "which the system is ahead of the best one."
        ),
    ]
    paper = tabulate_paper(board)
    if paper.rows:
        blocks += [Heading("The paper's losses"), paper, Paragraph(_PAPER_NOTE)]
    blocks += findings.images
    blocks += [Heading("Other metrics"), tabulate_metrics(board)]
    blocks += [Heading(f"Slices, {board.metric}"), tabulate_slices(board, slice_lists(findings.results.lists))]
    blocks += [Heading("Runs"), tabulate_runs(systems, board.metric)]
    if findings.trials:
        blocks += [Heading("Trials"), tabulate_trials(findings.trials, board.metric)]
    return blocks


_PAPER_NOTE = (
    "The paper (ListBERT, Table 1) says neither cut-off nor gain of its NDCG, nor seeds or significance; its shop, "
    "encoder and budget are others. Compare the order and the distances, not the values."
)


def describe_budget(findings: Findings) -> str:
    """Returns what every loss was given, in words."""
    config, compare = findings.config, findings.config.compare
    runs = [run for system in findings.results.systems if system.row for run in system.finished]
    pairs = max((run.pairs for run in runs), default=0)
    trials = max((len(system.row.trials) for system in findings.results.systems if system.row), default=1)
    chosen = f"chosen among {trials} settings on the validation lists" if trials > 1 else "with the settings given"
    graded = f"the grades of {config.evaluate.judgements}" if config.evaluate.judgements else "the labels of the lists"
    return (
        f"Every loss: {config.train.epochs} epochs of {config.train.batch_text} a step (up to {pairs:,} pairs), "
        f"encoder {config.encoder.size or 'as configured'}, start {config.encoder.initial or 'random'}, {chosen}"
        f"{f' in trials of {compare.trial_epochs} epochs' if compare.trial_epochs and trials > 1 else ''}, seeds "
        f"{', '.join(map(str, compare.seeds))}{f', {compare.folds} folds over queries' if compare.folds else ''}. The "
        f"same seed has the same initial weights and the same order of batches for every loss. Tested on "
        f"{findings.board.queries} queries by {graded}."
    )


def write_report(findings: Findings, output: Path) -> None:
    """Writes the report and its tables to `output`."""
    blocks = build_report(findings)
    (output / PLOTS_FOLDER).mkdir(parents=True, exist_ok=True)
    for image in findings.images:
        (output / PLOTS_FOLDER / image.name).write_bytes(image.png)
    (output / "report.md").write_text(format_markdown(blocks, PLOTS_FOLDER), encoding="utf-8")
    (output / "report.html").write_text(format_html(blocks, TITLE), encoding="utf-8")
    _write_csv(output / "results.csv", _list_results(findings))
    _write_csv(output / "runs.csv", tabulate_runs(findings.results.systems, findings.board.metric))


def _list_results(findings: Findings) -> Table:
    """Returns all numbers of all systems, unrounded as far as CSV readers care."""
    board = findings.board
    metrics = list(board.standings[0].system.finished[0].per_list)
    header = ["system", "loss", "runs", "diverged_runs", "letters", "seed_deviation", "low", "high", "difference"]
    header += ["p_holm", "wins", "ties", "losses", "marks", *metrics]
    rows = []
    for one in board.standings:
        system = one.system
        diverged = sum(run.is_diverged for run in system.runs)
        loss = system.row.entry.loss if system.row else ""
        numbers = [one.deviation, *one.interval, one.difference, one.p]
        means = [system.mean_per_list(metric).mean() for metric in metrics]
        rows.append(
            [system.name, loss, str(len(system.runs)), str(diverged), one.letters]
            + [f"{number:.6f}" for number in numbers]
            + [str(one.wins), str(one.ties), str(one.losses), mark_system(system)]
            + [f"{mean:.6f}" for mean in means]
        )
    for system in findings.results.systems:
        if not system.finished:
            counts = [str(len(system.runs)), str(sum(run.is_diverged for run in system.runs))]
            empty = [""] * (header.index("marks") - 4)
            rows.append(
                [system.name, system.row.entry.loss, *counts, *empty, mark_system(system), *[""] * len(metrics)]
            )
    return Table(header, rows)


def _write_csv(path: Path, table: Table) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([table.header, *table.rows])
