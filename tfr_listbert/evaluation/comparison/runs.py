"""Runs in processes of their own, several at once; one that has ended is not repeated, one that was killed goes on."""

from __future__ import annotations

import collections
import dataclasses
import json
import multiprocessing
import multiprocessing.connection
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfr_listbert.config import Config
from tfr_listbert.evaluation.comparison.plan import Run
from tfr_listbert.evaluation.metrics import ScoredList
from tfr_listbert.models.scoring import score_lists
from tfr_listbert.rows.dataset import build_dataset
from tfr_listbert.schema import DivergedError, InputError
from tfr_listbert.training.checkpoints import read_progress
from tfr_listbert.training.ranking import train_ranker
from tfr_listbert.training.runs import list_fixed_sections, read_ranker

OUTCOME_FILE = "outcome.json"
SCORES_FILE = "test_scores.npz"
LOG_FILE = "log.txt"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run has ended.

    Attributes:
        is_diverged: whether its loss, gradient or scores ceased to be numbers.
        message: what was said then.
        best_value: best validation metric.
        best_step: step of the best.
        history: validation metrics of every evaluation, with its `step`.
        pairs: query-document pairs seen.
        seconds: time of its last process.
        settings: the sections of its config that decide its weights.
    """

    is_diverged: bool
    message: str
    best_value: float | None
    best_step: int
    history: tuple[dict[str, float], ...]
    pairs: int
    seconds: float
    settings: dict[str, Any]


def has_ended(run: Run) -> bool:
    """Says whether there is a run that has ended where this one would be, with whatever settings."""
    return (run.folder / OUTCOME_FILE).exists()


def read_outcome(run: Run) -> Outcome | None:
    """Returns how a run has ended, or None if it has not.

    Raises:
        InputError: if its folder holds a run with other settings.
    """
    if not has_ended(run):
        return None
    values = json.loads((run.folder / OUTCOME_FILE).read_text())
    _require_same(run, values["settings"], _describe_settings(run.config))
    return Outcome(**values | {"history": tuple(values["history"])})


def _describe_settings(config: Config) -> dict[str, Any]:
    settings = {section: dataclasses.asdict(getattr(config, section)) for section in list_fixed_sections(config)}
    del settings["train"]["run"]  # a comparison may be moved
    return json.loads(json.dumps(settings, default=str))


def _require_same(run: Run, found: dict[str, Any], asked: dict[str, Any]) -> None:
    changed = [
        f"{section}.{key} (was {found[section][key]!r}, is {value!r})"
        for section, values in asked.items()
        for key, value in values.items()
        if key in found[section] and found[section][key] != value  # settings that came later were not there to differ
    ]
    if changed:
        raise InputError(
            f"{run.folder} holds a run with other settings: {'; '.join(changed)}. Choose another `compare.output`, "
            "another `name` for the loss, take the settings back, or remove the folder."
        )


def run_to_end(config: Config, is_trial: bool) -> None:
    """Trains, scores the test split unless it is a trial, and writes `outcome.json`, also when the run diverges."""
    started, message = time.monotonic(), ""
    try:
        train_ranker(config)
        if not is_trial:
            _write_scores(config)
    except DivergedError as error:
        message = str(error)
    progress = read_progress(config.train.run)
    outcome = Outcome(
        is_diverged=bool(message),
        message=message,
        best_value=progress.best_value,
        best_step=progress.best_step,
        history=tuple(progress.history),
        pairs=progress.pairs,
        seconds=time.monotonic() - started,
        settings=_describe_settings(config),
    )
    _write_whole(Path(config.train.run) / OUTCOME_FILE, lambda path: path.write_text(_to_json(outcome)))


def _to_json(outcome: Outcome) -> str:
    return json.dumps(dataclasses.asdict(outcome), indent=1) + "\n"


def _write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    partial = path.with_name(f"partial-{path.name}")
    write(partial)
    os.rename(partial, path)


def _write_scores(config: Config) -> None:
    ranker = read_ranker(config.train.run, config.evaluate.checkpoint)
    dataset = build_dataset(config.data.lists, "test", ranker.batcher, config.evaluate.batch_lists)
    scored = list(score_lists(ranker.network, dataset))
    if any(np.isnan(one.scores).any() for one in scored):
        raise DivergedError("The run has diverged: its test scores are not numbers.")
    arrays = {
        "query_ids": np.array([one.query_id for one in scored]),
        "lengths": np.array([len(one.scores) for one in scored]),
        "document_ids": np.concatenate([np.array(one.document_ids) for one in scored]),
        "scores": np.concatenate([one.scores for one in scored]),
        "labels": np.concatenate([one.labels for one in scored]),
    }
    _write_whole(Path(config.train.run) / SCORES_FILE, lambda path: np.savez_compressed(path, **arrays))


def read_scores(run: Run) -> list[ScoredList]:
    """Returns the test lists of a run that has ended, with its scores and the labels that it was given."""
    with np.load(run.folder / SCORES_FILE) as file:
        ends = np.cumsum(file["lengths"])[:-1]
        parts = [np.split(file[name], ends) for name in ("document_ids", "labels", "scores")]
        query_ids = file["query_ids"].tolist()
    return [
        ScoredList(query_id, ids.tolist(), labels, scores)
        for query_id, ids, labels, scores in zip(query_ids, *parts, strict=True)
    ]


def run_all(runs: Sequence[Run], jobs: int, on_end: Callable[[Run], None]) -> list[Run]:
    """Runs all of `runs`, `jobs` at once, each in a process of its own whose output goes to its `log.txt`.

    Args:
        runs: those that have not ended.
        jobs: processes at once; each takes its share of the cores.
        on_end: is told each run that has ended.

    Returns:
        The runs whose process failed.
    """
    context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    threads = max(1, (os.cpu_count() or 1) // jobs)
    waiting, active, failed = collections.deque(runs), {}, []
    while waiting or active:
        while waiting and len(active) < jobs:
            run = waiting.popleft()
            process = context.Process(target=_work, args=(run.config, run.is_trial, threads), daemon=True)
            process.start()
            active[process.sentinel] = (process, run)
        for sentinel in multiprocessing.connection.wait(list(active)):
            process, run = active.pop(sentinel)
            process.join()
            failed += [run] if process.exitcode else []
            on_end(run)
    return failed


def _work(config: Config, is_trial: bool, threads: int) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder = Path(config.train.run)
    folder.mkdir(parents=True, exist_ok=True)
    log = os.open(folder / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    run_to_end(config, is_trial)


def _end_with_parent() -> None:
    """Ends this process when its parent is killed, lest two processes write to one run folder after a restart."""
    multiprocessing.parent_process().join()
    os._exit(1)
