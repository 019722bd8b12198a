"""Trains a ranker or a student end to end: prepared lists, tokenizer and config to a run folder."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfr_listbert.config import Config, TrainConfig
from tfr_listbert.encoders.shapes import resolve_shape
from tfr_listbert.lists.elwc import list_shards
from tfr_listbert.metrics import compute_metrics, require_metric, summarize_metrics
from tfr_listbert.models.scoring import ListScorer
from tfr_listbert.rows.dataset import RowBatcher, build_dataset, build_step_dataset
from tfr_listbert.rows.list_index import ListIndex, index_lists
from tfr_listbert.rows.profile import RowProfile, measure_rows
from tfr_listbert.rows.token_cache import open_token_cache
from tfr_listbert.rows.training_order import StepDeal
from tfr_listbert.training.checkpoints import Progress
from tfr_listbert.training.contents import digest_files, list_files
from tfr_listbert.training.devices import build_strategy, is_chief, set_precision, share_steps, wait_for_chief
from tfr_listbert.training.memory import MemoryPlan, plan_memory
from tfr_listbert.training.objectives import LossTerm, build_objective, build_terms
from tfr_listbert.training.randomness import make_repeatable
from tfr_listbert.training.rankers import (
    Ranker,
    adopt_initial,
    build_batcher,
    build_run_ranker,
    read_configured_tokenizer,
)
from tfr_listbert.training.run_folder import open_run, write_metrics
from tfr_listbert.training.scored_lists import build_manifest, require_scored_lists
from tfr_listbert.training.trainer import Objective, Task, train

_MEASURED_LISTS = 32  # of a batch; no setting, because it decides which rows fix the widths


def train_ranker(config: Config) -> None:
    """Trains the ranker, or student, of `config` in its run folder, going on from where an earlier call was killed.

    Raises:
        InputError: if lists, tokenizer, loss or metric are missing or do not fit, or the run folder is of another run.
    """
    require_metric(config.train.metric, "train.metric")
    make_repeatable(config.train.seed)
    strategy = build_strategy(config.train.strategy)
    set_precision(config.train.precision)
    config = adopt_initial(config)
    terms = build_terms(config.loss)
    batcher = build_batcher(config, read_configured_tokenizer(config))
    index = index_training_lists(config, batcher)
    validation = index_lists(list_shards(config.data.lists, "validation", batcher.fields, batcher.features))
    wait_for_chief(config.train.run, strategy)
    profile = open_run(config, lambda: measure_training_rows(config, batcher))
    with strategy.scope():
        ranker = build_run_ranker(config, batcher, profile)
    objective = build_objective(terms, config.train.micro_batch_lists)
    print(_plan_memory(ranker, profile, terms, index, validation).describe())
    task = _build_task(config, index, ranker, objective, strategy)
    progress = train(task, config.train, Path(config.train.run), strategy)
    if is_chief(strategy):
        _report(config, progress)


def index_training_lists(config: Config, batcher: RowBatcher) -> ListIndex:
    """Returns the lists that a run of `config` is trained on, with their token rows where `train` asks for a cache.

    Raises:
        InputError: as `list_shards`, and if scores of a teacher are asked for that are missing or were made otherwise.
    """
    lists, batcher = _find_training_lists(config), _teach(config, batcher)
    index = index_lists(list_shards(lists, "train", batcher.fields, batcher.read_features))
    if not config.train.cache_tokens and config.train.batch_tokens is None:
        return index
    cuts = [config.text.query_tokens, [dataclasses.asdict(field) for field in config.text.fields], batcher.is_apart]
    sources = [digest_files(index.shards), digest_files(list_files(config.text.folder))]
    key = hashlib.sha256(json.dumps([*cuts, *sources]).encode()).hexdigest()[:16]
    dataset = functools.partial(build_dataset, lists, "train", batcher, config.evaluate.batch_lists)
    return dataclasses.replace(index, stores=open_token_cache(Path(lists) / f"tokens-{key}", dataset))


def _find_training_lists(config: Config) -> str:
    """Returns the folder of the training lists: with the teacher's scores where a loss reads them.

    A student of labels alone sees the same lists in the same order, without the products that nobody judged.
    """
    if not config.loss.is_taught:
        return config.data.lists
    require_scored_lists(config.teacher.scores, build_manifest(config))
    return config.teacher.scores


def measure_training_rows(config: Config, batcher: RowBatcher) -> RowProfile:
    """Returns the profile of the rows of `data.lists`, which a teacher's lists hold, too."""
    dataset = build_dataset(config.data.lists, "train", batcher, _MEASURED_LISTS)
    longest = config.text.document_tokens if config.model.is_student else config.text.row_tokens
    return measure_rows(dataset, config.model.features, config.model.buckets, longest)


def _teach(config: Config, batcher: RowBatcher) -> RowBatcher:
    """Returns what makes batches of training lists, with the teacher's scores where a loss reads them."""
    return dataclasses.replace(batcher, has_teacher=config.loss.is_taught)


def _plan_memory(
    ranker: Ranker, profile: RowProfile, terms: Sequence[LossTerm], index: ListIndex, validation: ListIndex
) -> MemoryPlan:
    config, model = ranker.config, ranker.config.model
    starts = range(0, len(validation), config.evaluate.batch_lists)
    student = {
        "query_row": config.text.query_tokens + 2,
        "encoders": 1 if model.is_shared else 2,
        "is_mean": model.pooling == "mean",
    }
    return plan_memory(
        config.train,
        resolve_shape(config.encoder),
        ranker.batcher.packer.tokenizer.vocabulary_size,
        [term.loss for term in terms],
        longest_list=int(index.rows.max()),
        longest_row=profile.widths[-1],
        pairs=_count_most_pairs(config.train, index),
        scored_documents=int(np.add.reduceat(validation.rows, starts).max()),
        **(student if model.is_student else {}),
    )


def _count_most_pairs(settings: TrainConfig, index: ListIndex) -> int | None:
    """Returns the most pairs of documents, padding included, in a step; None where its number of lists tells them."""
    if settings.batch_tokens is None or settings.micro_batch_lists is not None:
        return None
    deal = StepDeal(index, settings)  # steps of a few long lists and of many short ones
    steps = map(deal.choose, range(deal.epoch_steps))
    return max(len(lists) * int(index.rows[lists].max()) ** 2 for lists in steps)


def _build_task(
    config: Config, index: ListIndex, ranker: Ranker, objective: Objective, strategy: tf.distribute.Strategy
) -> Task:
    settings = config.train
    batcher = _teach(config, ranker.batcher)
    deal, replicas = StepDeal(index, settings), strategy.num_replicas_in_sync
    validation = build_dataset(config.data.lists, "validation", ranker.batcher, config.evaluate.batch_lists)
    scorer = ListScorer(ranker.network)

    def evaluate() -> dict[str, float]:
        scored = list(scorer.score(validation))
        return summarize_metrics(compute_metrics(scored, config.evaluate.relevant_from))

    def build_steps(first_step: int, own: range | None) -> tf.data.Dataset:
        return build_step_dataset(index, batcher, deal, first_step, replicas, own)

    return Task(
        network=ranker.network,
        objective=objective,
        model_objects=ranker.row_scorer.list_objects(),
        evaluate=evaluate,
        build_dataset=share_steps(strategy, build_steps),
        steps=deal.steps,
        evaluate_steps=settings.evaluate_steps or deal.epoch_steps,
        metric=settings.metric,
    )


def _report(config: Config, progress: Progress) -> None:
    best = next(entry for entry in progress.history if entry["step"] == progress.best_step)
    write_metrics(config.train.run, {"best": best, "last": progress.history[-1], "pairs": progress.pairs})
    print(f"{config.train.run}: best {config.train.metric} {progress.best_value:.4f} at step {progress.best_step}.")
