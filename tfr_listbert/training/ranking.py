"""Trains a ranker end to end: prepared lists, tokenizer and config to a run folder."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from tfr_listbert.config import Config
from tfr_listbert.evaluation.metrics import compute_metrics, summarize_metrics
from tfr_listbert.losses import build_loss
from tfr_listbert.losses.micro_batches import sum_in_micro_batches
from tfr_listbert.losses.ranking_loss import RankingLoss
from tfr_listbert.models.ranker import score_batch
from tfr_listbert.models.scoring import score_lists
from tfr_listbert.rows.dataset import RowBatcher, TrainingOrder, build_dataset, build_training_dataset, count_lists
from tfr_listbert.rows.profile import RowProfile, measure_rows
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.checkpoints import Progress
from tfr_listbert.training.devices import build_strategy, set_precision
from tfr_listbert.training.randomness import make_repeatable
from tfr_listbert.training.runs import (
    Ranker,
    adopt_initial,
    build_batcher,
    build_run_ranker,
    list_model_objects,
    open_run,
    write_metrics,
)
from tfr_listbert.training.trainer import Objective, Task, train


def train_ranker(config: Config) -> None:
    """Trains the ranker of `config` in its run folder, going on from where an earlier call was killed.

    Raises:
        InputError: if lists, tokenizer or loss are missing or do not fit, or the run folder is of another run.
    """
    make_repeatable(config.train.seed)
    set_precision(config.train.precision)
    config = adopt_initial(config)
    loss = build_loss(config.loss.loss, config.loss.options)
    batcher = build_batcher(config, read_tokenizer(config.text.folder))
    profile = open_run(config, lambda: _measure_training_rows(config, batcher))
    strategy = build_strategy(config.train.strategy)
    with strategy.scope():
        ranker = build_run_ranker(config, batcher, profile)
    task = _build_task(config, ranker, build_objective(loss, config.train.micro_batch_lists), strategy)
    progress = train(task, config.train, Path(config.train.run), strategy)
    _report(config, progress)


def _measure_training_rows(config: Config, batcher: RowBatcher) -> RowProfile:
    dataset = build_dataset(config.data.lists, "train", batcher, config.evaluate.batch_lists)
    return measure_rows(dataset, config.model.features, config.model.buckets, config.text.row_tokens)


def build_objective(loss: RankingLoss, micro_batch_lists: int | None = None) -> Objective:
    """Returns the trainer's objective of `loss`: summed over the lists of a batch, to be divided by their number.

    Args:
        loss: the loss.
        micro_batch_lists: lists whose loss is computed at once; all when None.
    """

    def compute(network: tf.keras.Model, batch: dict[str, tf.Tensor], seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
        scores = score_batch(network, batch, seed, training=True)  # [B, L]
        noise_seed = tf.random.fold_in(seed, tf.int32.max)  # apart from those of the row widths
        if micro_batch_lists is None:
            losses = loss(batch["labels"], scores, batch["mask"], batch["document_keys"], noise_seed, batch["weights"])
            total = tf.reduce_sum(losses)
        else:
            total = sum_in_micro_batches(loss, batch, scores, noise_seed, micro_batch_lists)
        return total, tf.shape(scores)[0], tf.math.count_nonzero(batch["mask"])

    return compute


def _build_task(config: Config, ranker: Ranker, objective: Objective, strategy: tf.distribute.Strategy) -> Task:
    settings = config.train
    epoch_steps = math.ceil(count_lists(config.data.lists, "train") / settings.batch_lists)
    validation = build_dataset(config.data.lists, "validation", ranker.batcher, config.evaluate.batch_lists)

    def evaluate() -> dict[str, float]:
        scored = list(score_lists(ranker.network, validation))
        return summarize_metrics(compute_metrics(scored, config.evaluate.relevant_from))

    return Task(
        network=ranker.network,
        objective=objective,
        model_objects=list_model_objects(ranker.row_scorer),
        evaluate=evaluate,
        build_dataset=_build_step_source(config, ranker.batcher, strategy),
        steps=epoch_steps * settings.epochs,
        evaluate_steps=settings.evaluate_steps or epoch_steps,
        metric=settings.metric,
    )


def _build_step_source(
    config: Config, batcher: RowBatcher, strategy: tf.distribute.Strategy
) -> Callable[[int], tf.data.Dataset]:
    settings, replicas = config.train, strategy.num_replicas_in_sync

    def build(first_step: int) -> tf.data.Dataset:
        order = TrainingOrder(settings.seed, settings.epochs, settings.batch_lists, first_step, replicas)
        dataset = build_training_dataset(config.data.lists, batcher, order)
        return dataset if replicas == 1 else strategy.distribute_datasets_from_function(lambda context: dataset)

    return build


def _report(config: Config, progress: Progress) -> None:
    best = next(entry for entry in progress.history if entry["step"] == progress.best_step)
    write_metrics(config.train.run, {"best": best, "last": progress.history[-1], "pairs": progress.pairs})
    print(f"{config.train.run}: best {config.train.metric} {progress.best_value:.4f} at step {progress.best_step}.")
