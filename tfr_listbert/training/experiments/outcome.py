"""How a run has ended: written down when it does, and read only for the same run."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from tfr_listbert.config import Config
from tfr_listbert.folders import replace_file, write_whole
from tfr_listbert.metrics import ScoredList
from tfr_listbert.schema import DivergedError, InputError
from tfr_listbert.training.checkpoints import read_progress
from tfr_listbert.training.contents import describe_contents
from tfr_listbert.training.devices import set_precision
from tfr_listbert.training.experiments.run import Run
from tfr_listbert.training.rankers import read_ranker, score_split
from tfr_listbert.training.ranking import train_ranker
from tfr_listbert.training.run_folder import find_changes, list_fixed_sections

OUTCOME_FILE = "outcome.json"
SETTINGS_FILE = "settings.json"
SCORES_FILE = "test_scores.npz"

_PLACES = {"data": ("lists",), "text": ("folder",), "encoder": ("initial",), "train": ("run",), "teacher": ("scores",)}
"""Settings that say where files are, by section: files may be moved, and what they hold is compared instead."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run has ended.

    Attributes:
        is_diverged: whether its loss, gradient or scores ceased to be numbers.
        message: what was said then.
        best_value: best validation metric; of a diverged run, before it diverged.
        best_step: step of the best.
        history: validation metrics of every evaluation, with its `step`.
        pairs: query-document pairs seen.
        seconds: time of its last process.
        is_failed: whether its process has failed, so that nothing is known of it; it is tried again by the next call.
    """

    is_diverged: bool
    message: str
    best_value: float | None
    best_step: int
    history: tuple[dict[str, float], ...]
    pairs: int
    seconds: float
    is_failed: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end, and there is a model."""
        return not self.is_diverged and not self.is_failed


def has_ended(run: Run) -> bool:
    """Says whether there is a run that has ended where this one would be, with whatever settings."""
    return (run.folder / OUTCOME_FILE).exists()


def read_outcome(run: Run) -> Outcome | None:
    """Returns how a run has ended, or None if it has not.

    Raises:
        InputError: if its folder holds a run, ended or not, with other settings or made of other files.
    """
    if not (run.folder / SETTINGS_FILE).exists():
        return None
    _require_same(run.config)
    if not has_ended(run):
        return None
    values = json.loads((run.folder / OUTCOME_FILE).read_text())
    return Outcome(**values | {"history": tuple(values["history"])})


def read_end(run: Run) -> Outcome:
    """Returns how a run has ended that was run: without an outcome, its process has failed.

    Raises:
        InputError: as `read_outcome`.
    """
    message = f"its process failed; {run.log} says why"
    return read_outcome(run) or Outcome(False, message, None, 0, (), 0, 0.0, is_failed=True)


def _describe_settings(config: Config) -> dict[str, Any]:
    """Returns what decides a run's weights and its test scores: settings, and hashes of the files that they name."""
    settings = {section: dataclasses.asdict(getattr(config, section)) for section in list_fixed_sections(config)}
    for section in settings.keys() & _PLACES.keys():
        for name in _PLACES[section]:
            del settings[section][name]
    judged = {name: getattr(config.evaluate, name) for name in ("checkpoint", "relevant_from")}
    settings |= {"evaluate": judged, "contents": describe_contents(config)}
    return json.loads(json.dumps(settings, default=str))


def _require_same(config: Config) -> None:
    folder = Path(config.train.run)
    found = json.loads((folder / SETTINGS_FILE).read_text())
    changed = []
    for section, values in _describe_settings(config).items():
        before = found.get(section, {})
        # A setting that came later was not there to differ; a file that was not there then was not read
        keys = values.keys() | before.keys() if section == "contents" else values.keys() & before.keys()
        changes = {
            path: both
            for key in sorted(keys)
            for path, both in find_changes(f"{section}.{key}", before.get(key), values.get(key)).items()
        }
        changed += [f"{path} (was {was!r}, is {now!r})" for path, (was, now) in changes.items()]
    if changed:
        raise InputError(
            f"{folder} holds a run with other settings: {'; '.join(changed)}. Choose another `compare.output` or "
            "`distill.output`, another `name` for the loss, take settings and files back, or remove the folder. "
            "(`contents` are hashes of what the files hold that a setting names.)"
        )


def run_to_end(config: Config, is_trial: bool) -> None:
    """Trains, scores the test split unless it is a trial, and writes `outcome.json`, also when the run diverges.

    Raises:
        InputError: as `train_ranker`; if the folder holds a run with other settings or made of other files.
    """
    started, message, progress = time.monotonic(), "", None
    keep_settings(config)
    try:
        train_ranker(config)
        if not is_trial:
            _write_scores(config)
    except DivergedError as error:
        message, progress = str(error), error.progress
    progress = progress or read_progress(config.train.run)
    outcome = Outcome(
        is_diverged=bool(message),
        message=message,
        best_value=progress.best_value,
        best_step=progress.best_step,
        history=tuple(progress.history),
        pairs=progress.pairs,
        seconds=time.monotonic() - started,
    )
    write_whole(Path(config.train.run) / OUTCOME_FILE, json.dumps(dataclasses.asdict(outcome), indent=1) + "\n")


def keep_settings(config: Config) -> None:
    """Writes what decides the run before it begins, or checks that it goes on with the same."""
    path = Path(config.train.run) / SETTINGS_FILE
    if path.exists():
        _require_same(config)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(_describe_settings(config), indent=1) + "\n")


def _write_scores(config: Config) -> None:
    set_precision("float32")  # as evaluate and every export compute, whatever the run was trained in
    ranker = read_ranker(config.train.run, config.evaluate.checkpoint)
    scored = list(score_split(config, ranker, "test"))
    if any(np.isnan(one.scores).any() for one in scored):
        raise DivergedError("The run has diverged: its test scores are not numbers.")
    arrays = {
        "query_ids": np.array([one.query_id for one in scored]),
        "lengths": np.array([len(one.scores) for one in scored]),
        "document_ids": np.concatenate([np.array(one.document_ids) for one in scored]),
        "scores": np.concatenate([one.scores for one in scored]),
        "labels": np.concatenate([one.labels for one in scored]),
    }
    with replace_file(Path(config.train.run) / SCORES_FILE) as partial:
        np.savez_compressed(partial, **arrays)


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
