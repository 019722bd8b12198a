"""Settings of evaluation and of the comparison of losses."""

from __future__ import annotations

import dataclasses
import re

from tfr_listbert.config.checks import require, require_seed
from tfr_listbert.config.training import LossConfig

RANDOM = "random"
BASELINES = (RANDOM, "bm25", "shown")
"""Systems that a comparison measures without training; the last where lists have the shop's positions."""
COMPARISON_NAMES = (
    *BASELINES,
    *("folds", "plots", "tensorboard", "report"),
    *("report.md", "report.html", "results.csv", "runs.csv", "queries.html"),
)
"""Names in a comparison's folder that are not a loss."""


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """What is measured, and how."""

    split: str = "test"
    """`test`, `validation` or `train`."""
    checkpoint: str | int = "best"
    """`best`, `last` for the newest checkpoint, or the step of one that the run keeps."""
    output: str | None = None
    """Folder for `metrics.json`, `per_query.csv` and `run.trec`; `<train.run>/evaluation/<split>` when empty."""
    relevant_from: float = 1.0
    """Labels from here on count as relevant in MRR, MAP, precision and recall."""
    judgements: str | None = None
    """Path or glob of CSV, JSONL or Parquet files of `query`, `document_id`, `grade`, whose grades replace the labels;
    unjudged documents get 0."""
    batch_lists: int = 32
    """Lists scored at a time."""
    resamples: int = 10_000
    """Resamples of each randomization test and bootstrap."""
    seed: int = 1
    """Decides the resamples."""

    def __post_init__(self) -> None:
        """Checks choices and counts."""
        require(
            self.split in ("train", "validation", "test"),
            "evaluate.split",
            "must be train, validation or test",
            self.split,
        )
        is_known = self.checkpoint in ("best", "last") or isinstance(self.checkpoint, int)
        require(is_known, "evaluate.checkpoint", "must be best, last or the step of a checkpoint", self.checkpoint)
        require(self.batch_lists >= 1, "evaluate.batch_lists", "must be >= 1", self.batch_lists)
        require(self.resamples >= 100, "evaluate.resamples", "must be >= 100", self.resamples)
        require_seed(self.seed, "evaluate.seed")


@dataclasses.dataclass(frozen=True)
class ComparedLossConfig(LossConfig):
    """A row of a comparison: a loss, and the settings to try for it."""

    learning_rates: tuple[float, ...] | None = None
    """Values of `train.learning_rate` to try; `compare.learning_rates` when empty."""
    temperatures: tuple[float, ...] | None = None
    """Temperatures to try with each rate; `compare.temperatures` when empty and `options` fix none."""
    is_frozen: bool = False
    """Whether the encoder keeps the weights that it starts with: what the head alone can learn."""
    initial: str | None = None
    """Run folder whose encoder to start from; `encoder.initial` when empty."""


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """Many losses under one budget; all that is not set here is the same for all of them."""

    output: str = "runs/comparison"
    """Folder of the experiment: its runs, in `<loss>/<seed>`, and its report."""
    losses: tuple[ComparedLossConfig, ...] = ()
    """The losses to compare, a row for each entry."""
    learning_rates: tuple[float, ...] = (3e-4, 1e-3)
    """Values of `train.learning_rate` to try for each loss."""
    temperatures: tuple[float, ...] = ()
    """Temperatures to try with each rate, for losses that have one; their default when empty."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """A run for each with the settings chosen; the first is that of the trials, too."""
    trial_epochs: int | None = None
    """Epochs of a trial; `train.epochs` when empty."""
    folds: int | None = None
    """Cross-validation: each query of all splits is tested in one of so many folds. The prepared test split alone when
    empty."""
    jobs: int = 1
    """Runs at once, each a process; they share the processor's cores."""
    dry_run: bool = False
    """Whether only to say how many runs there are and about how long they take."""
    shown: tuple[str, ...] = ()
    """The two systems whose rankings are shown side by side; the best losses when empty."""
    queries_shown: int = 10
    """Queries for which they are shown, those on which the two differ most."""

    def __post_init__(self) -> None:
        """Checks names, seeds and counts."""
        names = [entry.name or entry.loss for entry in self.losses]
        require(len(set(names)) == len(names), "compare.losses", "must have different names; set `name`", names)
        wrong = [name for name in names if not re.fullmatch(r"\w[\w.-]*", name) or name in COMPARISON_NAMES]
        rule = f"must be names for folders, of letters, digits and _-. inside, none of {', '.join(COMPARISON_NAMES)}"
        require(not wrong, "compare.losses", rule, wrong)
        known = [*names, *BASELINES]
        rule = f"must be empty or name two different systems among {', '.join(known)}"
        is_pair = len(self.shown) == len(set(self.shown)) == 2 and set(self.shown) <= set(known)
        require(not self.shown or is_pair, "compare.shown", rule, list(self.shown))
        require(len(self.seeds) >= 1, "compare.seeds", "must name at least one seed", list(self.seeds))
        for seed in self.seeds:
            require_seed(seed, "compare.seeds")
        require(len(set(self.seeds)) == len(self.seeds), "compare.seeds", "must not repeat a seed", list(self.seeds))
        require(len(self.learning_rates) >= 1, "compare.learning_rates", "must name at least one rate", [])
        for name in ("jobs", "queries_shown"):
            require(getattr(self, name) >= 1, f"compare.{name}", "must be >= 1", getattr(self, name))
        rule = "must be >= 1"
        require(self.trial_epochs is None or self.trial_epochs >= 1, "compare.trial_epochs", rule, self.trial_epochs)
        rule = "must be >= 3: one to test, one to choose settings by, the others to train"
        require(self.folds is None or self.folds >= 3, "compare.folds", rule, self.folds)
