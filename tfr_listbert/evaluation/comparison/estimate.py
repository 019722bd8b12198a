"""How many runs a comparison has, and about how long they take, from a few steps of one of them."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfr_listbert.config import Config
from tfr_listbert.rows.dataset import build_step_dataset
from tfr_listbert.rows.training_order import StepDeal
from tfr_listbert.training.devices import set_precision
from tfr_listbert.training.experiments.run import Run
from tfr_listbert.training.objectives import build_objective, build_terms
from tfr_listbert.training.optimizer import build_optimizer
from tfr_listbert.training.randomness import make_repeatable
from tfr_listbert.training.rankers import (
    adopt_initial,
    build_batcher,
    build_run_ranker,
    read_configured_tokenizer,
    score_split,
)
from tfr_listbert.training.ranking import index_training_lists, measure_training_rows
from tfr_listbert.training.trainer import TrainingModel

_STEPS_TIMED = 5


@dataclasses.dataclass(frozen=True)
class Speed:
    """What a run takes on all cores.

    Attributes:
        start_seconds: until the first step is made.
        step_seconds: of a step.
        evaluation_seconds: of an evaluation on the validation lists.
    """

    start_seconds: float
    step_seconds: float
    evaluation_seconds: float


def measure_speed(config: Config) -> Speed:
    """Makes a few steps of a run, without a run folder, and times them.

    Raises:
        InputError: as `train_ranker` for lists, tokenizer and encoder.
    """
    started = time.monotonic()
    make_repeatable(config.train.seed)
    set_precision(config.train.precision)
    config = adopt_initial(config)
    batcher = build_batcher(config, read_configured_tokenizer(config))
    ranker = build_run_ranker(config, batcher, measure_training_rows(config, batcher))
    objective = build_objective(build_terms(config.loss), config.train.micro_batch_lists)
    model = TrainingModel(ranker.network, objective, config.train.seed, config.train.gradient_clip_norm)
    model.compile(optimizer=build_optimizer(config.train, _STEPS_TIMED))
    clock = _StepClock()
    index = index_training_lists(config, batcher)
    dataset = build_step_dataset(index, batcher, StepDeal(index, config.train))
    model.fit(dataset.take(_STEPS_TIMED + 1), verbose=0, callbacks=[clock])
    before = time.monotonic()
    for _ in score_split(config, ranker, "validation"):
        pass
    steps = np.diff(clock.ends) if len(clock.ends) > 1 else [clock.ends[0] - started]
    return Speed(clock.ends[0] - started, float(np.median(steps)), time.monotonic() - before)


class _StepClock(tf.keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.ends.append(time.monotonic())


def estimate_seconds(runs: Sequence[Run], speed: Speed, jobs: int) -> float:
    """Returns about how long `runs` take with `jobs` at once: starts overlap, steps share the cores."""
    total = 0.0
    by_lists = {run.config.data.lists: run.config for run in runs}  # runs differ in loss, settings, epochs and seed
    indexes = {
        lists: index_training_lists(config, build_batcher(config, read_configured_tokenizer(config)))
        for lists, config in by_lists.items()
    }
    for run in runs:
        train = run.config.train
        deal = StepDeal(indexes[run.config.data.lists], train)
        evaluations = math.ceil(deal.steps / (train.evaluate_steps or deal.epoch_steps))
        total += speed.start_seconds / jobs + deal.steps * speed.step_seconds + evaluations * speed.evaluation_seconds
    return total


def describe_effort(trials: Sequence[Run], seeds: Sequence[Run], ended: int, seconds: float, jobs: int) -> str:
    """Returns the answer of a dry run.

    >>> describe_effort([], [None] * 6, 2, 3700, 2)
    '0 trials and 6 runs, 2 of them ended already; the others take about 1 h 2 min with 2 at once.'
    >>> describe_effort([], [None] * 6, 6, 0, 2)
    '0 trials and 6 runs, all of them ended already: nothing is left to do but to write the report.'
    """
    counts = f"{len(trials)} trials and {len(seeds)} runs"
    if ended == len(trials) + len(seeds):
        return f"{counts}, all of them ended already: nothing is left to do but to write the report."
    minutes = max(1, round(seconds / 60))
    spell = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
    return f"{counts}, {ended} of them ended already; the others take about {spell} with {jobs} at once."
