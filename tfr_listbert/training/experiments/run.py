"""A training run, by what tells it from others."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tfr_listbert.config import Config


@dataclasses.dataclass(frozen=True)
class Trial:
    """Hyper-parameters to try.

    Attributes:
        learning_rate: as of `train.learning_rate`.
        temperature: of the loss; None where it has none, or it is fixed.
    """

    learning_rate: float
    temperature: float | None = None

    @property
    def name(self) -> str:
        """Name for folders and tables.

        >>> Trial(0.001, 0.5).name
        'rate=0.001,temperature=0.5'
        """
        rate = f"rate={self.learning_rate:g}"
        return rate if self.temperature is None else f"{rate},temperature={self.temperature:g}"


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run of several that are compared.

    Attributes:
        loss: name of its row.
        trial: its hyper-parameters.
        seed: its run seed.
        fold: number of its fold, from 1; 0 where there is none.
        is_trial: whether it only serves the choice of hyper-parameters; the test split is scored for the others alone.
        config: what `train_ranker` takes.
    """

    loss: str
    trial: Trial
    seed: int
    fold: int
    is_trial: bool
    config: Config

    @property
    def folder(self) -> Path:
        """Its run folder."""
        return Path(self.config.train.run)

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.folder / "log.txt"
