"""Which runs a comparison needs: for each loss the same number of trials, then the seeds."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

from tfr_listbert.config import CompareConfig, ComparedLossConfig, Config, LossConfig, require
from tfr_listbert.losses import build_loss
from tfr_listbert.registry import LOSSES
from tfr_listbert.training.experiments.run import Run, Trial

TRIALS_FOLDER = "trials"

DECIDED_OF_RUNS = {
    "train.run": "compare.output",
    "train.seed": "compare.seeds",
    "train.learning_rate": "compare.learning_rates",
}
"""Settings that each run gets from the plan, and the settings that say what."""

DECIDED = {**DECIDED_OF_RUNS, **dict.fromkeys(("loss.loss", "loss.options", "loss.terms"), "compare.losses")}
"""Likewise where losses are compared."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A loss of the comparison.

    Attributes:
        name: name of folder and row.
        entry: as configured.
        trials: hyper-parameters to choose from.
    """

    name: str
    entry: ComparedLossConfig
    trials: tuple[Trial, ...]


def plan_rows(compare: CompareConfig) -> list[Row]:
    """Returns the losses to compare, each checked to exist, to take its options, and to have as many trials as others.

    Raises:
        InputError: if there are no losses, one is unknown or misset, or the numbers of trials differ.
    """
    require(len(compare.losses) >= 1, "compare.losses", "must name at least one loss", [])
    rows = []
    for number, entry in enumerate(compare.losses):
        setting = f"compare.losses[{number}]"
        require(not entry.terms, f"{setting}.terms", "must be empty: a comparison takes one loss a row", entry.terms)
        build_loss(entry.loss, entry.options, setting)
        row = Row(entry.name or entry.loss, entry, _list_trials(compare, entry, setting))
        for trial in row.trials:
            build_loss(entry.loss, _set_temperature(entry, trial), setting)
        rows.append(row)
    counts = {row.name: len(row.trials) for row in rows}
    rule = "must try as many settings for each loss; give those with fewer more `learning_rates` of their own"
    require(len(set(counts.values())) == 1, "compare.losses", rule, counts)
    return rows


def _list_trials(compare: CompareConfig, entry: ComparedLossConfig, setting: str) -> tuple[Trial, ...]:
    rates = entry.learning_rates or compare.learning_rates
    source = f"{setting}.learning_rates" if entry.learning_rates else "compare.learning_rates"
    require(all(rate > 0 for rate in rates), source, "must be > 0", list(rates))
    has_temperature = any(field.name == "temperature" for field in dataclasses.fields(LOSSES.get(entry.loss, setting)))
    is_free = has_temperature and "temperature" not in entry.options
    rule = f"must be left out: {entry.loss} has no temperature, or `options` fix it"
    require(is_free or not entry.temperatures, f"{setting}.temperatures", rule, entry.temperatures)
    temperatures = (entry.temperatures or compare.temperatures) if is_free else ()
    trials = tuple(Trial(*values) for values in itertools.product(rates, temperatures or (None,)))
    names = [trial.name for trial in trials]
    require(len(set(names)) == len(names), setting, "must not try a setting twice", ", ".join(names))
    return trials


def _set_temperature(entry: ComparedLossConfig, trial: Trial) -> dict[str, object]:
    return entry.options if trial.temperature is None else entry.options | {"temperature": trial.temperature}


def plan_trials(config: Config, row: Row, lists: str, fold: int) -> list[Run]:
    """Returns the trials of a loss on the lists of one fold; none where there is nothing to choose."""
    epochs = config.compare.trial_epochs or config.train.epochs
    if len(row.trials) == 1:
        return []
    return [_build_run(config, row, trial, lists, fold, config.compare.seeds[0], epochs) for trial in row.trials]


def plan_seeds(config: Config, row: Row, trial: Trial, lists: str, fold: int) -> list[Run]:
    """Returns the runs of a loss, one per seed, with the hyper-parameters chosen."""
    epochs = config.train.epochs
    return [_build_run(config, row, trial, lists, fold, seed, epochs, False) for seed in config.compare.seeds]


def _build_run(
    config: Config,
    row: Row,
    trial: Trial,
    lists: str,
    fold: int,
    seed: int,
    epochs: int,
    is_trial: bool = True,
) -> Run:
    place = [TRIALS_FOLDER, trial.name] if is_trial else [str(seed)]
    folder = Path(config.compare.output, row.name, *place, *([f"fold-{fold}"] if fold else []))
    train = dataclasses.replace(
        config.train, run=str(folder), seed=seed, epochs=epochs, learning_rate=trial.learning_rate
    )
    own = dataclasses.replace(
        config,
        compare=CompareConfig(),
        data=dataclasses.replace(config.data, lists=lists),
        encoder=dataclasses.replace(
            config.encoder,
            is_frozen=config.encoder.is_frozen or row.entry.is_frozen,
            initial=row.entry.initial or config.encoder.initial,
        ),
        loss=LossConfig(row.entry.loss, row.name, _set_temperature(row.entry, trial)),
        train=train,
    )
    return Run(row.name, trial, seed, fold, is_trial, own)


def count_runs(rows: Sequence[Row], compare: CompareConfig) -> tuple[int, int]:
    """Returns how many trials and how many runs after them a comparison has."""
    folds = compare.folds or 1
    trials = sum(len(row.trials) for row in rows if len(row.trials) > 1)
    return folds * trials, folds * len(rows) * len(compare.seeds)
