"""The training loop of every model: Keras compile and fit, evaluations, checkpoints, and resuming to the last bit."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfr_listbert.config import TrainConfig
from tfr_listbert.folders import lock_folder
from tfr_listbert.schema import DivergedError, InputError
from tfr_listbert.training.callbacks import Checkpointing, DivergenceCheck, Evaluation, ProgressBar, ScalarLog
from tfr_listbert.training.checkpoints import Progress, RunCheckpoints
from tfr_listbert.training.devices import is_chief
from tfr_listbert.training.optimizer import build_optimizer
from tfr_listbert.training.randomness import build_step_seed

Objective = Callable[[tf.keras.Model, dict[str, tf.Tensor], tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]
"""(network, batch, seed [2]) to the summed loss and what to divide it by, both over this replica's batch, and rows."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What the trainer must know of a model.

    Attributes:
        network: the Keras model whose trainable weights are trained.
        objective: its loss on a batch.
        model_objects: what checkpoints keep, by name.
        evaluate: returns the validation metrics of the weights as they are.
        build_dataset: batches of the steps from a first step on.
        steps: steps of the whole run.
        evaluate_steps: steps between evaluations.
        metric: key of the metric by which the best weights are chosen.
        is_lower_better: whether lower values of it are better.
        shown: keys of other metrics that the progress bar shows.
        unit: what a row is called in the progress bar and TensorBoard.
    """

    network: tf.keras.Model
    objective: Objective
    model_objects: dict[str, Any]
    evaluate: Callable[[], dict[str, float]]
    build_dataset: Callable[[int], tf.data.Dataset | tf.distribute.DistributedDataset]
    steps: int
    evaluate_steps: int
    metric: str
    is_lower_better: bool = False
    shown: tuple[str, ...] = ()
    unit: str = "pairs"


class TrainingModel(tf.keras.Model):
    """A network with its objective, trained by `fit`; gradients are those of the mean over all replicas' lists."""

    def __init__(self, network: tf.keras.Model, objective: Objective, run_seed: int, gradient_clip_norm: float):
        """Wraps `network`; see `Task` and `TrainConfig`."""
        super().__init__(name="training_model")
        self.network = network
        self._objective = objective
        self._run_seed = run_seed
        self._gradient_clip_norm = gradient_clip_norm
        self.distribute_reduction_method = "first"  # of replicas' results, which are those of all of them already

    @tf.autograph.experimental.do_not_convert  # here and below nothing branches on a tensor; converting took 4 s of 18
    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Takes one optimizer step; returns loss, norm of the whole gradient before clipping, and rows."""
        replica = tf.distribute.get_replica_context()
        seed = build_step_seed(self._run_seed, self.optimizer.iterations, replica.replica_id_in_sync_group)
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            total, count, rows = self._objective(self.network, batch, seed)
            count = tf.maximum(replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(count, tf.float32)), 1.0)
            loss = total / count
            scaled = self.optimizer.get_scaled_loss(loss) if self._is_scaled else loss
        # dense, because the norm of sparse slices would count a token's repeated rows one by one
        gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(scaled, variables)]
        if self._is_scaled:
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        gradients, norm = tf.clip_by_global_norm(gradients, self._gradient_clip_norm)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True), skip_gradients_aggregation=True)
        loss, rows = replica.all_reduce(tf.distribute.ReduceOp.SUM, [loss, tf.cast(rows, tf.float32)])
        return {"loss": loss, "gradient_norm": norm, "rows": rows}

    @property
    def _is_scaled(self) -> bool:
        return isinstance(self.optimizer, tf.keras.mixed_precision.LossScaleOptimizer)


def train(task: Task, config: TrainConfig, run: Path, strategy: tf.distribute.Strategy) -> Progress:
    """Trains `task` to its last step or its early stop, going on from the run's newest checkpoint if there is one.

    A run that was killed and started again ends with the same weights and metrics as one that was not: the batches, the
    dropout masks and the noise of a step are functions of (run seed, step), and the checkpoint holds all else.

    Args:
        task: what to train; its network built under `strategy`.
        config: rates and intervals.
        run: run folder.
        strategy: the distribution strategy.

    Returns:
        Where the run has ended.

    Raises:
        InputError: if an assertion of the loss fails, as on labels that it does not take, or another process trains
            in the folder.
        DivergedError: when loss, gradient or validation scores are no longer numbers; it says where the run was.
    """
    told = f"Another process is training in `train.run` {run}; wait for its end, or name another folder."
    with lock_folder(run, told) if is_chief(strategy) else contextlib.nullcontext():
        return _train(task, config, run, strategy)


def _train(task: Task, config: TrainConfig, run: Path, strategy: tf.distribute.Strategy) -> Progress:
    with strategy.scope():
        model = TrainingModel(task.network, task.objective, config.seed, config.gradient_clip_norm)
        model.compile(optimizer=build_optimizer(config, task.steps))
        model.optimizer.build(task.network.trainable_variables)
    checkpoints = RunCheckpoints(run, task.model_objects, model.optimizer, is_chief(strategy))
    checkpoints.restore()
    first_step = int(model.optimizer.iterations.numpy())
    patience = config.early_stopping_evaluations
    best = (task.metric, task.is_lower_better)
    evaluation = Evaluation(task.evaluate, task.evaluate_steps, task.steps, *best, patience, checkpoints)
    if first_step < task.steps and not evaluation.is_over:
        callbacks = [
            DivergenceCheck(),
            evaluation,  # before those that see its metrics
            *([ScalarLog(run / "tensorboard", task.unit)] if is_chief(strategy) else []),
            Checkpointing(checkpoints, config.checkpoint_steps),
            ProgressBar(first_step, task.steps, (task.metric, *task.shown), task.unit),
        ]
        batches = task.build_dataset(first_step)
        try:
            model.fit(batches, steps_per_epoch=task.steps - first_step, verbose=0, callbacks=callbacks)
        except DivergedError as error:
            error.progress = checkpoints.progress  # no checkpoint has it
            raise
        except tf.errors.InvalidArgumentError as error:
            if told := re.search(r"(?:assertion failed|InputError): (.*)", error.message):
                raise InputError(f"A step of the training cannot be computed: {told[1]}") from None
            raise
    elif is_chief(strategy):
        print(f"{run} has ended already, at step {first_step}; nothing is trained.")
    return checkpoints.progress
