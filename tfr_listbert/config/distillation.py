"""Settings of teachers and students."""

from __future__ import annotations

import dataclasses
import re

from tfr_listbert.config.checks import require
from tfr_listbert.config.training import LossTermConfig


@dataclasses.dataclass(frozen=True)
class TeacherConfig:
    """The ranker that a student learns from, and the scores that it gives the training lists, once."""

    run: str = "runs/ranker"
    """Its run folder."""
    scores: str = "runs/teacher_scores"
    """Folder of the training lists with its scores, which `score_lists` writes and losses on the teacher read."""
    checkpoint: str = "best"
    """`best`, or `last` for the newest checkpoint."""
    bm25_neighbours: int = 0
    """Products that nobody judged for the query, added to each list: those that BM25 ranks first."""
    student: str | None = None
    """Run folder of a student whose own nearest products are added, too; none when empty."""
    student_neighbours: int = 0
    """How many of these."""
    shard_lists: int = 500
    """Lists per shard; a call that is killed goes on with the shard it was in."""
    batch_lists: int = 16
    """Lists scored at a time."""

    def __post_init__(self) -> None:
        """Checks choices and counts."""
        require(self.checkpoint in ("best", "last"), "teacher.checkpoint", "must be best or last", self.checkpoint)
        for name in ("bm25_neighbours", "student_neighbours"):
            require(getattr(self, name) >= 0, f"teacher.{name}", "must be >= 0", getattr(self, name))
        for name in ("shard_lists", "batch_lists"):
            require(getattr(self, name) >= 1, f"teacher.{name}", "must be >= 1", getattr(self, name))
        is_whole = (self.student_neighbours > 0) == (self.student is not None)
        rule = "must name the run folder of the student whose nearest to add if `teacher.student_neighbours` is set"
        require(is_whole, "teacher.student", f"{rule}, and else nothing", self.student)


_TAKEN_NAMES = ("teacher", "results.json", "table.md")
"""Of a row and of files of the output."""


@dataclasses.dataclass(frozen=True)
class DistilledLossConfig:
    """A student of `distill`: its losses, and the rates to try for it."""

    name: str
    """Name of folder and row."""
    terms: tuple[LossTermConfig, ...]
    """Its losses, added up with their weights."""
    learning_rates: tuple[float, ...] | None = None
    """Values of `train.learning_rate` to try; `distill.learning_rates` when empty."""

    def __post_init__(self) -> None:
        """Checks the name and that there is a loss."""
        rule = "must be a name for a folder, of letters, digits and _-., the first a letter, digit or _"
        require(bool(re.fullmatch(r"\w[\w.-]*", self.name)), "distill.losses.name", rule, self.name)
        require(self.name not in _TAKEN_NAMES, "distill.losses.name", "is taken; choose another", self.name)
        require(len(self.terms) >= 1, f"distill.losses ({self.name}).terms", "must name at least one loss", [])


@dataclasses.dataclass(frozen=True)
class DistillConfig:
    """Students of one teacher under one budget: same start, steps and number of rates tried."""

    output: str = "runs/students"
    """Folder of the students, in `<name>/<rate>`, and of the table."""
    losses: tuple[DistilledLossConfig, ...] = ()
    """The students, one for each entry."""
    undistilled: str = "labels"
    """Name of the entry of `losses` that the others are held against: the student trained on labels alone."""
    learning_rates: tuple[float, ...] = (1e-3,)
    """Values of `train.learning_rate` to try for each; the best on the validation lists is kept."""

    def __post_init__(self) -> None:
        """Checks names and rates."""
        names = [entry.name for entry in self.losses]
        require(len(set(names)) == len(names), "distill.losses", "must have different names", names)
        require(len(self.learning_rates) >= 1, "distill.learning_rates", "must name at least one rate", [])
