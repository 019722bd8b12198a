"""Checkpoints that a killed run goes on from, and the best weights so far."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfr_listbert.schema import InputError

_UNREADABLE = (ValueError, AssertionError, IndexError, tf.errors.OpError)
"""What TensorFlow raises for checkpoints that do not fit or whose files are cut, missing or empty."""

_FOLDERS = {"best": "best", "last": "checkpoints"}


@dataclasses.dataclass
class Progress:
    """Where a run is, beside weights and optimizer; kept in every checkpoint.

    Attributes:
        best_value: best validation metric so far.
        best_step: step at which it was reached.
        evaluations_since_best: evaluations without a better one.
        history: metrics of every evaluation, with its `step`.
        pairs: query-document pairs (rows) seen; tokens in pre-training.
    """

    best_value: float | None = None
    best_step: int = 0
    evaluations_since_best: int = 0
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    pairs: int = 0


class RunCheckpoints:
    """The checkpoints of one run folder: `checkpoints/` to go on from, `best/` to use.

    TensorFlow writes a checkpoint's data first and then renames the small file that names the newest whole one, so a
    kill in the middle of writing leaves the one before in force.
    """

    def __init__(
        self,
        run: str | Path,
        model_objects: dict[str, Any],
        optimizer: tf.keras.optimizers.Optimizer,
        is_writer: bool = True,
    ):
        """Ties the run folder to the objects of the model (`encoder`, `head`, ...) and its optimizer.

        Of several workers over one folder all read, and only the one with `is_writer` writes.
        """
        self._is_writer = is_writer
        self.progress = Progress()
        self._text = tf.Variable("", dtype=tf.string, trainable=False)
        whole = tf.train.Checkpoint(**model_objects, optimizer=optimizer, progress=self._text)
        best = tf.train.Checkpoint(**model_objects)
        for checkpoint in (whole, best):
            _ = checkpoint.save_counter  # made now: in its first save it would wait for workers that do not write
        self._newest = tf.train.CheckpointManager(whole, str(Path(run) / _FOLDERS["last"]), max_to_keep=2)
        self._best = tf.train.CheckpointManager(best, str(Path(run) / _FOLDERS["best"]), max_to_keep=1)

    def save(self, step: int) -> None:
        """Writes a checkpoint to go on from at `step`."""
        self._text.assign(json.dumps(dataclasses.asdict(self.progress)))
        if self._is_writer:
            self._newest.save(checkpoint_number=step)

    def save_best(self, step: int) -> None:
        """Writes the weights as the best ones so far."""
        if self._is_writer:
            self._best.save(checkpoint_number=step)

    def restore(self) -> bool:
        """Restores the newest checkpoint that can be read; says whether there was one.

        Raises:
            InputError: if there are some, but none can be read.
        """
        for path in reversed(self._newest.checkpoints):
            try:
                self._newest.checkpoint.restore(path).assert_consumed()
            except _UNREADABLE as error:
                reason = str(error).splitlines()[0]
                print(f"{path} cannot be read ({reason}); the run goes on from the one before.", file=sys.stderr)
                continue
            self.progress = Progress(**json.loads(self._text.numpy()))
            return True
        if self._newest.checkpoints:
            raise InputError(
                f"No checkpoint in {self._newest.directory} can be read; {reason}. Remove the run folder to begin anew."
            )
        return False


def holds_object(run: str | Path, name: str) -> bool:
    """Says whether the best checkpoint of a run folder holds an object called `name`."""
    path = tf.train.latest_checkpoint(str(Path(run) / _FOLDERS["best"]))
    return path is not None and any(key.startswith(f"{name}/") for key, _ in tf.train.list_variables(path))


def read_progress(run: str | Path) -> Progress:
    """Returns where the newest checkpoint of a run folder is; at the start if there is none."""
    path = tf.train.latest_checkpoint(str(Path(run) / _FOLDERS["last"]))
    if path is None:
        return Progress()
    return Progress(**json.loads(tf.train.load_checkpoint(path).get_tensor("progress/.ATTRIBUTES/VARIABLE_VALUE")))


def describe_unfinished(run: str | Path) -> str:
    """Returns what must be said of results of a run whose training has not ended; "" if it has."""
    if (Path(run) / "metrics.json").exists():  # written last
        return ""
    path = tf.train.latest_checkpoint(str(Path(run) / _FOLDERS["last"]))
    step = f" (its newest checkpoint is of step {path.rpartition('-')[2]})" if path else ""
    return (
        f"Beware: training of {run} has not ended{step}, and better weights may come; call pipelines/train.py with its "
        "config to go on, and then this again."
    )


def find_checkpoint(run: str | Path, which: str | int, setting: str = "train.run") -> Path:
    """Returns the path of a run folder's checkpoint, without its files' endings.

    Args:
        run: run folder.
        which: `best`, `last`, or the step of one that is kept.
        setting: what names the folder, for messages.

    Raises:
        InputError: if there is none.
    """
    if isinstance(which, int):
        return _find_step(run, which)
    folder = Path(run) / _FOLDERS[which]
    path = tf.train.latest_checkpoint(str(folder))
    if path is None:
        raise InputError(
            f"There is no checkpoint in {folder}: the run has not got that far, or `{setting}` names another folder."
        )
    return Path(path)


def _find_step(run: str | Path, step: int) -> Path:
    kept = {}
    for folder in _FOLDERS.values():
        state = tf.train.get_checkpoint_state(str(Path(run) / folder))
        kept |= {
            int(path.rpartition("-")[2]): Path(path) for path in (state.all_model_checkpoint_paths if state else ())
        }
    if step not in kept:
        steps = ", ".join(map(str, sorted(kept))) or "none"
        raise InputError(f"There is no checkpoint of step {step} in {run}, which keeps those of the steps {steps}.")
    return kept[step]


def restore_objects(run: str | Path, which: str | int, setting: str = "train.run", **objects: Any) -> None:
    """Restores objects of a run folder's model, all of their weights.

    Args:
        run: run folder.
        which: as in `find_checkpoint`.
        setting: likewise.
        **objects: by the names under which they were saved, e.g. `encoder=...`; others in the file are left alone.

    Raises:
        InputError: if there is no such checkpoint, or its weights do not fit.
    """
    path = find_checkpoint(run, which, setting)
    try:
        status = tf.train.Checkpoint(**objects).restore(str(path))
        status.assert_existing_objects_matched().expect_partial()
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0]  # the others print the weights
        raise InputError(f"The weights in {path} do not fit this model, or are damaged: {reason}") from None
