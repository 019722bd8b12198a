"""Distils a teacher into students, one per loss, and says in a table what each keeps of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfr_listbert.config import Config
from tfr_listbert.distillation.students import choose_rate, plan_students, train_students
from tfr_listbert.distillation.teacher_scores import score_training_lists
from tfr_listbert.evaluation.intervals import bootstrap_interval, bootstrap_ratio, format_interval, list_ends
from tfr_listbert.evaluation.judgements import judge_as_configured, relabel
from tfr_listbert.evaluation.significance import LEVEL, holm, paired_randomization_test
from tfr_listbert.folders import fill_folder, write_whole
from tfr_listbert.lists.elwc import read_lists
from tfr_listbert.metrics import ScoredList, compute_metrics
from tfr_listbert.schema import RankedList
from tfr_listbert.training.experiments.outcome import read_outcome, read_scores
from tfr_listbert.training.experiments.run import Run
from tfr_listbert.training.rankers import read_ranker, score_split

TEACHER = "teacher"
METRIC = "ndcg_10"
RESULTS_FILE = "results.json"
TABLE_FILE = "table.md"


def distill_ranker(config: Config) -> None:
    """Scores the training lists, trains the students of `distill.losses`, and writes and prints their table.

    Students that an earlier call has trained, and training lists that it has scored, are kept; the teacher ranks the
    test lists at every call.

    Raises:
        InputError: if teacher, lists or settings are missing or do not fit, or a student's training failed.
    """
    plan, output = plan_students(config), Path(config.distill.output)
    score_training_lists(config)
    with fill_folder(output, "distill.output"):
        train_students([run for runs in plan.values() for run in runs])
    chosen = {name: choose_rate(runs) for name, runs in plan.items()}
    lists = judge_as_configured(config, list(read_lists(config.data.lists, "test")))
    students = {name: read_scores(run) for name, run in chosen.items() if run is not None}
    values = {
        name: _measure(config, one, lists) for name, one in ({TEACHER: _score_teacher(config)} | students).items()
    }
    compared = compare_with_teacher(values, config.distill.undistilled, config.evaluate.resamples, config.evaluate.seed)
    results = {name: compared.get(name, {}) | _describe_run(chosen.get(name)) for name in (TEACHER, *plan)}
    table = format_table(results, config)
    _write(output, results, table)
    print(table)


def _score_teacher(config: Config) -> list[ScoredList]:
    teacher = read_ranker(config.teacher.run, config.teacher.checkpoint, "teacher.run")
    return list(score_split(config, teacher, "test"))


def _measure(config: Config, scored: Sequence[ScoredList], lists: Sequence[RankedList]) -> np.ndarray:
    return compute_metrics(relabel(scored, lists), config.evaluate.relevant_from)[METRIC]


def compare_with_teacher(
    values: Mapping[str, np.ndarray], undistilled: str, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Returns what each system keeps of the teacher and closes of the gap to it.

    Args:
        values: metric of each test list by system, the teacher's among them.
        undistilled: the student trained on labels alone; may be missing, if it diverged.
        resamples: of each test and interval.
        seed: decides them.

    Returns:
        By system `mean` and `interval`; of all but the undistilled student `p` of no difference from it, of students
        corrected for their number (Holm); of students `kept` (share of the teacher's mean, if that is not 0) and, where
        the teacher leads the undistilled one significantly, of those distilled `closed` (share of that lead). Shares
        have an `_interval` at 95 % over queries.
    """
    teacher, start = values[TEACHER], values.get(undistilled)
    others = [name for name in values if start is not None and name != undistilled]
    p_values = {name: paired_randomization_test(values[name], start, resamples, seed) for name in others}
    students = [name for name in others if name != TEACHER]
    p_values.update(zip(students, holm([p_values[name] for name in students]).tolist(), strict=True))
    has_gap = p_values.get(TEACHER, 1.0) < LEVEL and teacher.mean() > start.mean()
    results = {}
    for name, own in values.items():
        row = {"mean": float(own.mean()), "interval": list_ends(bootstrap_interval(own, resamples, seed))}
        if name in p_values:
            row["p"] = p_values[name]
        if name != TEACHER and teacher.mean() > 0:
            row["kept"] = float(own.mean() / teacher.mean())
            row["kept_interval"] = list_ends(bootstrap_ratio(own, teacher, resamples, seed))
        if has_gap and name not in (TEACHER, undistilled):
            row["closed"] = float((own - start).mean() / (teacher - start).mean())
            row["closed_interval"] = list_ends(bootstrap_ratio(own - start, teacher - start, resamples, seed))
        results[name] = row
    return results


def _describe_run(run: Run | None) -> dict[str, Any]:
    if run is None:
        return {}
    outcome = read_outcome(run)
    best = {"validation": outcome.best_value, "step": outcome.best_step, "seconds": outcome.seconds}
    return {"run": str(run.folder), "rate": run.trial.learning_rate, **best}


def format_table(results: Mapping[str, Mapping[str, Any]], config: Config) -> str:
    """Returns the results as a table in Markdown; a system without any has diverged."""
    lines = [
        "| system | rate | NDCG@10 | 95 % interval | of the teacher | 95 % interval | gap closed | 95 % interval | p "
        "| run |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join([name, *_format_cells(row)])} |" for name, row in results.items()]
    grades = f" with the grades of {config.evaluate.judgements}" if config.evaluate.judgements else ""
    note = (
        f"NDCG@10 on the test lists of {config.data.lists}{grades}; rates chosen on the validation lists. p: of no "
        f"difference from `{config.distill.undistilled}` on other queries (paired randomization, students after Holm); "
        "each student is one run, and nothing here speaks of other runs. Gap: the teacher's lead over that student; no "
        f"share of it is given unless the lead is significant (p < {LEVEL})."
    )
    return "\n".join([*lines, "", note])


def _format_cells(row: Mapping[str, Any]) -> list[str]:
    if "mean" not in row:
        return ["", "diverged at every rate", *[""] * 7]
    cells = [f"{row['rate']:g}" if "rate" in row else "", f"{row['mean']:.4f}", format_interval(row["interval"])]
    for share in ("kept", "closed"):
        cells += [f"{row[share]:.1%}", format_interval(row[f"{share}_interval"], ".1%")] if share in row else ["", ""]
    return [*cells, f"{row['p']:.4f}" if "p" in row else "", row.get("run", "")]


def _write(folder: Path, results: Mapping[str, Any], table: str) -> None:
    for file, text in {RESULTS_FILE: json.dumps(results, indent=1), TABLE_FILE: table}.items():
        write_whole(folder / file, text + "\n")
