"""What happens between steps: evaluations, checkpoints, TensorBoard and the progress bar."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
import tqdm

from tfr_listbert.schema import DivergedError
from tfr_listbert.training.checkpoints import RunCheckpoints

LOG_STEPS = 10
"""Steps between scalars in TensorBoard."""

MOST_SKIPPED_STEPS = 20
"""Steps in a row that loss scaling may skip; its scale of 2^15 is down to 1, its lowest, after 15."""

_REMEDY = "Lower `train.learning_rate` or raise `train.warmup_rate`."


class _StepCallback(tf.keras.callbacks.Callback):
    """A callback that is told the run's own step, which goes on counting over a resume."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        """Calls `on_step` with the number of steps made so far."""
        self.on_step(int(self.model.optimizer.iterations.numpy()), logs)


class DivergenceCheck(_StepCallback):
    """Stops a run whose loss or gradient is no longer a number, before its weights are kept.

    Under loss scaling a gradient that overflows is expected: the step is skipped and the scale halved.
    """

    def __init__(self) -> None:
        """Has seen no step."""
        super().__init__()
        self._skipped = 0

    def on_step(self, step: int, logs: dict[str, Any]) -> None:
        """Raises DivergedError where that is so."""
        is_scaled = isinstance(self.model.optimizer, tf.keras.mixed_precision.LossScaleOptimizer)
        self._skipped = 0 if math.isfinite(logs["gradient_norm"]) else self._skipped + 1
        limits = {"loss": math.isfinite(logs["loss"]), "gradient_norm": self._skipped <= is_scaled * MOST_SKIPPED_STEPS}
        for name, is_within in limits.items():
            if not is_within:
                raise DivergedError(
                    f"The run has diverged: its {name.replace('_', ' ')} is {logs[name]} at step {step}. {_REMEDY}"
                )


class Evaluation(_StepCallback):
    """Evaluates on the validation lists, keeps the best weights, and stops the run when they no longer get better."""

    def __init__(
        self,
        evaluate: Callable[[], dict[str, float]],
        every_steps: int,
        last_step: int,
        metric: str,
        is_lower_better: bool,
        patience: int | None,
        checkpoints: RunCheckpoints,
    ):
        """Evaluates every `every_steps` steps and at the last; stops after `patience` evaluations without a better."""
        super().__init__()
        self._evaluate = evaluate
        self._every_steps = every_steps
        self._last_step = last_step
        self._metric = metric
        self._is_lower_better = is_lower_better
        self._patience = patience
        self._checkpoints = checkpoints

    @property
    def is_over(self) -> bool:
        """Whether early stopping has ended the run."""
        return self._patience is not None and self._checkpoints.progress.evaluations_since_best >= self._patience

    def on_step(self, step: int, logs: dict[str, Any]) -> None:
        """Evaluates where it is due."""
        self._checkpoints.progress.pairs += int(logs["rows"])
        if step % self._every_steps and step != self._last_step:
            return
        metrics = self._evaluate()
        logs |= {f"metric/{name}": value for name, value in metrics.items()}
        self._record(step, metrics)
        self.model.stop_training = self.is_over

    def _record(self, step: int, metrics: dict[str, float]) -> None:
        value, progress = metrics[self._metric], self._checkpoints.progress
        if not math.isfinite(value):
            raise DivergedError(
                f"The run has diverged: its {self._metric} on held-out data is {value} at step {step}. {_REMEDY}"
            )
        progress.history.append({"step": step, **metrics})
        progress.evaluations_since_best += 1
        if self._is_better(value, progress.best_value):
            progress.best_value, progress.best_step = value, step
            progress.evaluations_since_best = 0
            self._checkpoints.save_best(step)

    def _is_better(self, value: float, best: float | None) -> bool:
        return best is None or (value < best if self._is_lower_better else value > best)


class Checkpointing(_StepCallback):
    """Writes a checkpoint to go on from every so many steps, with each new best, and where the run ends.

    With the best, since a run that goes on from before it may not come by it again: on a GPU sums are not repeatable.
    """

    def __init__(self, checkpoints: RunCheckpoints, every_steps: int):
        """Writes to `checkpoints` every `every_steps` steps."""
        super().__init__()
        self._checkpoints = checkpoints
        self._every_steps = every_steps
        self._saved_step = -1

    def on_step(self, step: int, logs: dict[str, Any]) -> None:
        """Writes where it is due."""
        if step % self._every_steps == 0 or step == self._checkpoints.progress.best_step:
            self._save(step)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Writes the run's end."""
        self._save(int(self.model.optimizer.iterations.numpy()))

    def _save(self, step: int) -> None:
        if step != self._saved_step:
            self._checkpoints.save(step)
            self._saved_step = step


class ScalarLog(_StepCallback):
    """Writes loss, learning rate, gradient norm, pairs per second and validation metrics for TensorBoard."""

    def __init__(self, folder: Path, unit: str):
        """Writes to `folder`; rows are called `unit`."""
        super().__init__()
        self._writer = tf.summary.create_file_writer(str(folder))
        self._speed = f"{unit}_per_second"
        self._rows, self._since = 0, time.monotonic()

    def on_step(self, step: int, logs: dict[str, Any]) -> None:
        """Writes where it is due; leaves what it has written in `logs`."""
        self._rows += int(logs["rows"])
        scalars = {name: value for name, value in logs.items() if name.startswith("metric/")}
        if step % LOG_STEPS == 0:
            logs |= {"learning_rate": self.model.optimizer.learning_rate.numpy(), self._speed: self._read_speed()}
            scalars |= {name: logs[name] for name in ("loss", "gradient_norm", "learning_rate", self._speed)}
        with self._writer.as_default(step):
            for name, value in scalars.items():
                tf.summary.scalar(name, value)

    def _read_speed(self) -> float:
        """Returns rows per second since the last call, evaluations and checkpoints included."""
        now = time.monotonic()
        speed = self._rows / max(now - self._since, 1e-9)
        self._rows, self._since = 0, now
        return speed

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Flushes what is left."""
        self._writer.close()


class ProgressBar(_StepCallback):
    """One bar for the whole run, with loss, speed and the last validation metrics."""

    def __init__(self, first_step: int, last_step: int, metrics: Sequence[str], unit: str):
        """Shows steps `first_step` to `last_step`, and `metrics` where they were measured; rows are called `unit`."""
        super().__init__()
        self._names = {"loss": "loss", f"{unit}_per_second": f"{unit}/s"}
        self._names |= {f"metric/{metric}": metric for metric in metrics}
        self._shown: dict[str, str] = {}
        interval = 0.5 if sys.stderr.isatty() else 20  # a log file wants few lines
        self._bar = tqdm.tqdm(total=last_step, initial=first_step, desc="train", unit="step", mininterval=interval)

    def on_step(self, step: int, logs: dict[str, Any]) -> None:
        """Moves the bar."""
        self._shown |= {shown: f"{logs[name]:.4g}" for name, shown in self._names.items() if name in logs}
        self._bar.set_postfix(self._shown, refresh=False)
        self._bar.update(step - self._bar.n)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Closes the bar."""
        self._bar.close()
