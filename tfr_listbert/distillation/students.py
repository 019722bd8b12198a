"""Students of one teacher under one budget: which runs there are, and which rate each keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from tfr_listbert.config import Config, DistillConfig, DistilledLossConfig, LossConfig, require
from tfr_listbert.schema import InputError
from tfr_listbert.training.experiments.outcome import read_outcome
from tfr_listbert.training.experiments.processes import run_all
from tfr_listbert.training.experiments.run import Run, Trial
from tfr_listbert.training.objectives import build_terms

DECIDED = {
    "train.run": "distill.output",
    "train.learning_rate": "distill.learning_rates",
    "loss.loss": "distill.losses",
    "loss.options": "distill.losses",
    "loss.terms": "distill.losses",
}
"""Settings that each student gets from the plan, and the settings that say what."""


def plan_students(config: Config) -> dict[str, list[Run]]:
    """Returns the runs of each entry of `distill.losses` by its name, one per learning rate.

    Raises:
        InputError: if there is no entry, one is misset, the undistilled one has a teacher, or rates differ in number.
    """
    distill = config.distill
    names = [entry.name for entry in distill.losses]
    require(len(names) >= 1, "distill.losses", "must name at least one student", [])
    require(distill.undistilled in names, "distill.undistilled", f"must be one of {names}", distill.undistilled)
    start = next(one for one in distill.losses if one.name == distill.undistilled)
    taught = ", ".join(term.loss for term in start.terms if term.target != "labels")
    rule = f"must name a student of labels alone, not of {taught}"
    require(not taught, "distill.undistilled", rule, distill.undistilled)
    require(config.model.is_student, "model.type", "must be student", config.model.type)
    runs = {entry.name: _plan_rates(config, entry) for entry in distill.losses}
    counts = {name: len(own) for name, own in runs.items()}
    require(len(set(counts.values())) == 1, "distill.losses", "must try as many rates each", counts)
    return runs


def _plan_rates(config: Config, entry: DistilledLossConfig) -> list[Run]:
    loss = LossConfig(name=entry.name, terms=entry.terms)
    setting = f"distill.losses ({entry.name})"
    build_terms(loss, setting)
    rates = entry.learning_rates or config.distill.learning_rates
    source = f"{setting}.learning_rates" if entry.learning_rates else "distill.learning_rates"
    require(all(rate > 0 for rate in rates), source, "must be > 0", list(rates))
    require(len(set(rates)) == len(rates), source, "must not try a rate twice", list(rates))
    return [_build_run(config, loss, Trial(rate)) for rate in rates]


def _build_run(config: Config, loss: LossConfig, trial: Trial) -> Run:
    folder = Path(config.distill.output, loss.name, trial.name)
    train = dataclasses.replace(config.train, run=str(folder), learning_rate=trial.learning_rate)
    own = dataclasses.replace(config, loss=loss, train=train, distill=DistillConfig())
    return Run(loss.name, trial, config.train.seed, 0, False, own)


def train_students(runs: Sequence[Run]) -> None:
    """Trains those that have not been trained, one after the other, each in a process of its own.

    Raises:
        InputError: if one failed, or has been trained with other settings or on other scores.
    """
    waiting = [run for run in runs if read_outcome(run) is None]
    if waiting:
        told = f"each writes its progress to its {waiting[0].log.name}, the first to {waiting[0].log}"
        print(f"Training {len(waiting)} of {len(runs)} students, one after the other; {told}.", flush=True)
    failed = run_all(waiting, 1, lambda run: print(f"{run.folder}: {_describe(run)}", flush=True))
    if failed:
        logs = ", ".join(str(run.log) for run in failed)
        raise InputError(f"{len(failed)} students failed; their logs say why: {logs}. Call again to go on.")


def _describe(run: Run) -> str:
    outcome = read_outcome(run)
    if outcome is None:
        return "failed."
    if outcome.is_diverged:
        return outcome.message
    return f"best validation metric {outcome.best_value:.4f} at step {outcome.best_step}, {outcome.seconds:.0f} s."


def choose_rate(runs: Sequence[Run]) -> Run | None:
    """Returns the run with the best validation metric; None if all of them diverged."""
    values = {run.trial: read_outcome(run) for run in runs}
    kept = [run for run in runs if not values[run.trial].is_diverged]
    return max(kept, key=lambda run: values[run.trial].best_value, default=None)
