"""A comparison in TensorBoard: runs by readable names, one chart for all losses, HParams, the report.

`tensorboard --logdir <output>/tensorboard` shows each run as `<loss>/<seed>`, by a link to its own event files.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import summary as custom_scalar
from tensorboard.plugins.hparams import api as hparams

from tfr_listbert.evaluation.comparison.document import Table, format_markdown
from tfr_listbert.evaluation.comparison.plan import Row
from tfr_listbert.evaluation.comparison.plots import mean_curve
from tfr_listbert.evaluation.comparison.report import Findings, build_report
from tfr_listbert.evaluation.comparison.results import SystemRun
from tfr_listbert.evaluation.comparison.tables import SHOWN_METRICS
from tfr_listbert.training.experiments.outcome import Outcome
from tfr_listbert.training.experiments.run import Trial

TENSORBOARD_FOLDER = "tensorboard"
REPORT_RUN = "report"


def write_tensorboard(findings: Findings, output: Path) -> None:
    """Writes `<output>/tensorboard/` anew.

    Args:
        findings: of the comparison.
        output: folder of the comparison.
    """
    folder = output / TENSORBOARD_FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    metric = findings.board.metric
    _write_report(findings, folder / REPORT_RUN)
    for system in findings.results.systems:
        if system.row is None:
            continue
        for run in system.runs:
            name = f"{system.name}/{run.seed}"
            _link_run(output / name, folder / name)
            write_hparams(system.row, run, folder, name)
        if curve := mean_curve(system, metric):
            _write_curve(curve, metric, folder / system.name)


def _link_run(run: Path, place: Path) -> None:
    """Links the event files of a run, of all its folds; relative, so that a comparison may be moved."""
    for source in sorted(run.glob("**/tensorboard")):
        inner = source.parent.relative_to(run)
        target = place / inner
        target.mkdir(parents=True, exist_ok=True)
        for events in source.glob("events.*"):
            (target / events.name).symlink_to(os.path.relpath(events, target))


def write_hparams(row: Row, run: SystemRun, folder: Path, name: str) -> None:
    """Writes a row of the HParams tab for each fold's run, with its own test metrics where it has any."""
    ends = np.cumsum(run.lists_by_fold)
    for number, (trial, outcome) in enumerate(zip(run.trials, run.outcomes, strict=True)):
        place = f"{name}/fold-{number + 1}" if len(run.trials) > 1 else name
        with _open(folder / place):
            hparams.hparams(_describe(row, run.seed, trial, outcome), trial_id=place)
            for metric in SHOWN_METRICS if run.per_list else ():
                own = np.split(run.per_list[metric], ends[:-1])[number]
                tf.summary.scalar(f"test/{metric}", own.mean(), step=0)


def _describe(row: Row, seed: int, trial: Trial, outcome: Outcome) -> dict[str, Any]:
    temperature = trial.temperature or row.entry.options.get("temperature")
    values = {
        "loss": row.name,
        "seed": seed,
        "learning_rate": trial.learning_rate,
        "is_frozen": row.entry.is_frozen,
        "is_diverged": outcome.is_diverged,
        "is_failed": outcome.is_failed,
    }
    return values | ({"temperature": float(temperature)} if temperature is not None else {})


def _write_curve(curve: dict[int, float], metric: str, folder: Path) -> None:
    with _open(folder):
        for step, value in curve.items():
            tf.summary.scalar(f"mean/{metric}", value, step=step)


def _write_report(findings: Findings, folder: Path) -> None:
    metric = findings.board.metric
    with _open(folder):
        layout = custom_scalar.pb(_build_layout(metric))
        tf.summary.experimental.write_raw_pb(layout.SerializeToString(), step=0)
        for image in findings.images:
            tf.summary.image(image.name, tf.io.decode_png(image.png, channels=3)[tf.newaxis], step=0)
        for number, table in enumerate(block for block in build_report(findings) if isinstance(block, Table)):
            name = "leaderboard" if number == 0 else f"table_{number}"
            tf.summary.text(name, format_markdown([table], ""), step=0)


def _build_layout(metric: str) -> layout_pb2.Layout:
    """Returns charts that overlay the losses: means over seeds, then all runs."""
    charts = {
        f"{metric} on validation lists, mean over seeds": f"mean/{metric}",
        f"{metric} on validation lists, every run": f"metric/{metric}",
        "norm of the gradient": "gradient_norm",
        "learning rate": "learning_rate",
    }
    content = [
        layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=[f"^{tag}$"]))
        for title, tag in charts.items()
    ]
    return layout_pb2.Layout(category=[layout_pb2.Category(title="losses", chart=content)])


def _open(folder: Path) -> Any:
    return tf.summary.create_file_writer(str(folder)).as_default()
